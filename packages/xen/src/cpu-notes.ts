export { type CpuSegment, type CpuState, cpuNotes, cpuSegment as segment } from '@ullage/layout'

export {
  countFrames,
  cutRange,
  endOf,
  findRange,
  intersect,
  mergeRanges,
  type PfnRange,
  rangeBetween,
} from './pfn-range.ts'
export { PfnSet } from './pfn-set.ts'

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'
import { z } from 'zod'

export const pathOf = (file: string) => join(import.meta.dirname, file)
export const textOf = (file: string) => readFileSync(pathOf(file), 'utf8')

export type Settings = Record<string, string>
export type App = 'api' | 'worker'

/** Objects of Kubernetes, in the order of the files. */
export function kubernetesObjects() {
  const object = z.looseObject({
    apiVersion: z.string(),
    kind: z.string(),
    metadata: z.looseObject({ name: z.string() }),
  })
  return ['settings', 'api', 'worker', 'network'].flatMap((name) =>
    parseAllDocuments(textOf(`kubernetes/${name}.yaml`)).map((document) => object.parse(document.toJS())),
  )
}

/** The settings that each way to run an app gives it. */
export function deployedSettings(app: App): Record<string, Settings> {
  const lines = [...textOf(`settings/${app}.env`).matchAll(/^(\w+)=(.*)$/gm)]
  const compose = z.looseObject({
    services: z.record(z.string(), z.looseObject({ environment: z.record(z.string(), z.string()).optional() })),
  })
  const config = z.looseObject({ data: z.record(z.string(), z.string()).optional() })
  const secret = z.looseObject({ stringData: z.record(z.string(), z.string()).optional() })
  const objects = kubernetesObjects()
  const named = (name: string) => objects.find(({ kind, metadata }) => kind !== 'Namespace' && metadata.name === name)
  return {
    systemd: Object.fromEntries(lines.map(([, name = '', value = '']) => [name, value])),
    compose: compose.parse(parse(textOf('compose/compose.yaml'))).services[app]?.environment ?? {},
    kubernetes: {
      ...config.parse(named(`ullage-${app}`)).data,
      ...secret.parse(named('ullage-redis')).stringData,
    },
  }
}

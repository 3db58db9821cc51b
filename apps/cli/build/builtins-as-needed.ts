import type { Plugin } from 'rolldown'

const IMPORT = /^import (?:(\* as [\w$]+|[\w$]+),? )?(?:\{([^}]*)\} )?from "(node:[\w/]+)";$/gm

/** Functions of modules that take long to load: these are loaded when one is called. */
const CALLED_RARELY: Readonly<Record<string, readonly string[]>> = {
  'node:child_process': ['fork', 'spawn'],
  'node:crypto': ['createHash', 'randomUUID'],
  'node:net': ['createConnection'],
  'node:zlib': ['crc32'],
}

/**
 * Has the bundle take Node's own modules by `process.getBuiltinModule`. An import statement asks every getter of such a
 * module for the names that it exports: with `node:fs` come streams, readline and more that nobody asked for.
 */
export function builtinsAsNeeded(): Plugin {
  return {
    name: 'builtins-as-needed',
    renderChunk(code) {
      return { code: code.replace(IMPORT, (_, ...groups: (string | undefined)[]) => taken(groups)), map: null }
    },
  }
}

function taken([whole, list = '', specifier = '']: (string | undefined)[]): string {
  const module = `process.getBuiltinModule("${specifier}")`
  const names = list.split(',').filter((name) => name.trim() !== '')
  const [rarely, now] = [names.filter(isRare), names.filter((name) => !isRare(name))]
  return [
    ...(whole ? [`const ${whole.replace('* as ', '')} = ${module};`] : []),
    ...(now.length > 0 ? [`const {${now.join(',').replaceAll(' as ', ': ')}} = ${module};`] : []),
    ...rarely.map((name) => {
      const [imported = '', local = imported] = name.trim().split(' as ')
      return `const ${local} = (...args) => ${module}.${imported}(...args);`
    }),
  ].join('\n')

  function isRare(name: string): boolean {
    return CALLED_RARELY[specifier]?.includes(name.trim().split(' as ')[0] ?? '') ?? false
  }
}

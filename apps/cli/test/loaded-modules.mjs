// For `node --import`: writes what this process has loaded to the file of LOADED_MODULES when it ends, as JSON.
const { readFileSync, writeFileSync } = process.getBuiltinModule('node:fs')
const { registerHooks } = process.getBuiltinModule('node:module')

const file = process.env.LOADED_MODULES
const urls = []
if (file) {
  registerHooks({
    load(url, context, next) {
      urls.push(url)
      return next(url, context)
    },
  })
  process.on('exit', () => {
    const builtins = process.moduleLoadList.flatMap((name) => /^NativeModule (\w+)$/.exec(name)?.[1] ?? [])
    const addons = [...new Set(readFileSync('/proc/self/maps', 'utf8').match(/\/\S+\.node$/gm))]
    writeFileSync(file, JSON.stringify({ urls, builtins, addons }))
  })
}

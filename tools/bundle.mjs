/**
 * Puts each program, and each worker of the daemon, into one file of dist/, in the place of the module of the same name that
 * tsc wrote. What they import stays beside them as modules: tests, the simulator and the benches take those.
 *
 * Finding, reading and linking some sixty modules was half of a daemon's start, and while a daemon restarts the kernel's
 * requests wait. A module that names a file by `import.meta.url` may end up in another room's file, so it says
 * `../ROOM/file.js`, which is right from any room. Packages stay outside: they are installed beside dist/.
 */
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const programs = ['bin/lockstepd', 'bin/cmirrord', 'bin/cmirrord-child', 'bin/lockstep'];
const workers = ['daemon/engine-entry', 'admin/admin-entry'];
const isPackage = (specifier) => !/^[./]/.test(specifier);

for (const entry of [...programs, ...workers]) {
  const build = await rolldown({
    input: `${root}ts/${entry}.ts`,
    platform: 'node',
    external: isPackage,
    resolve: { extensionAlias: { '.js': ['.ts'] } },
  });
  await build.write({ file: `${root}dist/${entry}.js`, format: 'esm', codeSplitting: false, sourcemap: true });
  await build.close();
}

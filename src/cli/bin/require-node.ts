/**
 * Ends a program on a Node that is too old, with one line that shows what to do. Its importer loads
 * the program afterwards, with `import()`: an older Node cannot even read the program's code.
 */
import { MINIMUM_NODE } from '#platform/process/minimum-node';

if (Number.parseInt(process.versions.node, 10) < MINIMUM_NODE) {
  const program = (process.argv[1] ?? 'gitaly-ts').replace(/^.*\//, '').replace(/\.js$/, '');
  process.stderr.write(
    `${program}: needs Node ${MINIMUM_NODE} or newer, but ${process.execPath} is ${process.version}. ` +
      `Install a newer one (https://nodejs.org) and put it first on the PATH; in a clone, run "make build".\n`,
  );
  process.exit(1);
}

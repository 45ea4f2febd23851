import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT, run } from '../packages/run.ts';

/** Names of the files of the package `gitaly`: `blob.proto` … */
export function protoFiles(): string[] {
  return readdirSync(join(ROOT, 'proto'))
    .filter((name) => name.endsWith('.proto'))
    .sort();
}

/**
 * Copies the files of the package `gitaly` to `<folder>/<name>/`, with imports of that path:
 * generated modules are then in a package of that name, and not called `shared`.
 */
export function copyProtos(folder: string, name: string): void {
  mkdirSync(join(folder, name), { recursive: true });
  const files = protoFiles();
  for (const file of files) {
    const text = readFileSync(join(ROOT, 'proto', file), 'utf8');
    const prefixed = text.replace(/^import "([^"]+)";$/gm, (line, path: string) =>
      files.includes(path) ? `import "${name}/${path}";` : line,
    );
    writeFileSync(join(folder, name, file), prefixed);
  }
}

/** Runs buf, of the development dependencies, and returns its output. */
export function buf(args: readonly string[], cwd: string): string {
  const program = join(ROOT, 'node_modules/@bufbuild/buf/bin/buf');
  return run(process.execPath, [program, ...args], cwd);
}

/** Writes a file with the folders that it needs. */
export function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

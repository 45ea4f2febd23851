import { createRegistry, type DescFile, type Registry } from '@bufbuild/protobuf';
import { wireFiles } from './files.ts';

/** Returns the given files and all files they import, each once. */
function withDependencies(files: readonly DescFile[], seen = new Set<DescFile>()): Set<DescFile> {
  for (const file of files) {
    if (seen.has(file)) continue;
    seen.add(file);
    withDependencies(file.dependencies, seen);
  }
  return seen;
}

/**
 * Every message, enum, service and option of this project, including well-known types. It packs and
 * unpacks `google.protobuf.Any` (the details of a status) by type name.
 */
export const registry: Registry = createRegistry(...withDependencies(wireFiles));

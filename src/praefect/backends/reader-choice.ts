import { thisMachine } from '../nodes/this-machine.ts';
import { anyReader, type ChooseReader, localReaders } from '../routing/choose-reader.ts';
import type { BackendOptions } from './backend.ts';

/** Returns how the nodes of reads are chosen. */
export function readerChoice({ config, nodes }: Pick<BackendOptions, 'config' | 'nodes'>): ChooseReader {
  if (!config.routing.preferLocalReplicas) return anyReader;
  return localReaders([...nodes.values()].flat(), thisMachine());
}

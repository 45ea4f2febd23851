import type { CommandRepository } from '../command/command-repository.ts';
import type { ObjectReader } from './object-reader.ts';

/** A repository whose objects can be read: the base for readers of references and history. */
export interface ReadableRepository extends CommandRepository {
  readonly objects: ObjectReader;
}

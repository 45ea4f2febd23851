import { createNodeSpawner } from './node-spawner.ts';
import type { Spawner } from './spawner.ts';

/** Takes the best way to start processes that works here. */
export function chooseSpawner(): Spawner {
  return createNodeSpawner();
}

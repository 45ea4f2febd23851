/** The first module of each entry point of the packages: no import works on a Node that is too old. */
import { MINIMUM_NODE } from './minimum-node.ts';

if (Number.parseInt(process.versions.node, 10) < MINIMUM_NODE)
  throw new Error(`gitaly-ts needs Node ${MINIMUM_NODE} or newer, this is ${process.version}`);

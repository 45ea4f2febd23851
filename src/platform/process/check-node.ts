/**
 * The first module of each entry point of the packages. Names that an older Node lacks must not be
 * imported by name anywhere: the import would fail before this code runs.
 */
import { MINIMUM_NODE } from './minimum-node.ts';

if (Number.parseInt(process.versions.node, 10) < MINIMUM_NODE)
  throw new Error(`gitaly-ts needs Node ${MINIMUM_NODE} or newer, this is ${process.version}`);

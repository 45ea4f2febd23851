/** Oldest major version of Node that runs the programs; `engines` in package.json. */
export const MINIMUM_NODE = 24;

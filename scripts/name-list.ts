/** Names that may be exported by several files of a module, as `module: name`, with the reason. */
export const SAME_NAMES: Readonly<Record<string, string>> = {
  'testkit: startGitaly':
    'start-server.ts adds clusters to start-gitaly.ts, for users of the package, who see only that one',
};

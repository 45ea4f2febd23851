import { withDoubleDashes } from '#base/go/double-dashes';
import { gitalyProgram } from './programs/gitaly-program.ts';
import { runProgram } from './programs/run-program.ts';

// Exit codes of Gitaly 19.0: 0 for success, 2 for wrong arguments of `serve` and `check`, 1 for
// other failures, wrong options among them.
await runProgram(gitalyProgram, (args, commands) => {
  const longOptions = commands.flatMap(({ options }) => options.map(({ long }) => long?.slice(2) ?? ''));
  const known = args[0] === 'git' ? ['config'] : longOptions; // the others are git's
  return withDoubleDashes(args, new Set([...known, 'version', 'help']));
});

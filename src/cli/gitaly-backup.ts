import { withDoubleDashes } from '#base/go/double-dashes';
import { gitalyBackupProgram } from './gitaly-backup-program.ts';
import { runProgram } from './run-program.ts';

// Exit codes of Gitaly 19.0: 0 for success, 1 for all failures, also of some repositories.
await runProgram(gitalyBackupProgram, (args, commands) => {
  const options = commands.flatMap(({ options }) => options.map(({ long }) => long?.slice(2) ?? ''));
  return withDoubleDashes(args, new Set([...options, 'version', 'help']));
});

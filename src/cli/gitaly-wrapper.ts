import { tuneRuntime } from '#platform/process/tune-runtime';
import { versionString } from '#platform/process/version';

const HELP = `Usage: gitaly-wrapper <program> [arguments]

Supervises a server that restarts without refusing calls.

On SIGHUP the server starts a new process, which takes over its sockets. The wrapper keeps its own
pid. It starts the program, or adopts the process in the PID file, forwards signals to the newest process,
and exits with the last one.

Environment:
  GITALY_PID_FILE       file with the pid of the process that serves (required)
  WRAPPER_JSON_LOGGING  true: log in JSON

Examples:
  GITALY_PID_FILE=/run/gitaly/gitaly.pid gitaly-wrapper gitaly serve /etc/gitaly/config.toml
  GITALY_PID_FILE=/run/praefect.pid gitaly-wrapper praefect --config /etc/gitaly/praefect.toml
`;

async function main(args: readonly string[]): Promise<number> {
  if (args[0] === '--help' || args[0] === '-h') {
    process.stdout.write(HELP);
    return 0;
  }
  if (args[0] === '--version' || args[0] === '-v') {
    process.stdout.write(`${versionString('gitaly-wrapper')}\n`);
    return 0;
  }
  const { runWrapper } = await import('#tools/wrapper/run-wrapper');
  return await runWrapper(args, process.env);
}

tuneRuntime();
const code = await main(process.argv.slice(2));
process.exit(code); // the listeners for signals would keep it alive

import { tuneRuntime } from '#platform/process/tune-runtime';
import { versionString } from '#platform/process/version';

const HELP = `Usage: gitaly-ssh upload-pack|receive-pack|upload-archive <ignored> <ignored>

Connects git to a repository of a Gitaly server. Set GIT_SSH_COMMAND to use it in place of ssh.

Environment:
  GITALY_ADDRESS       unix:PATH, tcp://HOST:PORT, tls://HOST:PORT or dns:HOST:PORT
  GITALY_PAYLOAD       the request message as JSON
  GITALY_TOKEN         the server's token, if it has one
  GITALY_WD            working directory (socket paths may be relative to it)
  GITALY_FEATUREFLAGS  name:true,other_name:false
  CORRELATION_ID       correlation id of the call

Examples:
  export GIT_SSH_VARIANT=simple GITALY_ADDRESS=unix:/run/gitaly/gitaly.socket
  export GITALY_PAYLOAD='{"repository":{"storageName":"default","relativePath":"hello.git"}}'
  GIT_SSH_COMMAND="gitaly-ssh upload-pack" git clone gitaly:hello.git

  export GITALY_PAYLOAD='{"repository":{"storageName":"default","relativePath":"hello.git"},"glId":"user-1"}'
  GIT_SSH_COMMAND="gitaly-ssh receive-pack" git push gitaly:hello.git main
`;

async function main(args: readonly string[]): Promise<number> {
  if (args[0] === '--help' || args[0] === '-h') {
    process.stdout.write(HELP);
    return 0;
  }
  if (args[0] === '--version' || args[0] === '-v') {
    process.stdout.write(`${versionString('gitaly-ssh')}\n`);
    return 0;
  }
  // git tests for OpenSSH's options this way, unless GIT_SSH_VARIANT is set; this program has none.
  if (args[1] === '-G') return 1;
  const { runSshCommand } = await import('#tools/ssh-command/run-ssh-command');
  return await runSshCommand(args, process.env, process);
}

tuneRuntime();
process.exitCode = await main(process.argv.slice(2));
process.stdin.destroy(); // git keeps its end open

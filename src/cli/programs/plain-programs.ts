import { versionString } from '#platform/process/version';

/** The help of programs without options, which git or scripts start often: they load little. */
export const PLAIN_PROGRAMS = {
  'gitaly-hooks': `\
Usage: gitaly-hooks <hook> [arguments], or <hook> [arguments] as a symbolic link of that name

Forwards a git hook to the Gitaly server named by GITALY_HOOKS_PAYLOAD.

Hooks: pre-receive, update, post-receive, reference-transaction, proc-receive; and "git pack-objects ...",
for use as uploadpack.packObjectsHook.

Examples:
  ln -s "$(command -v gitaly-hooks)" hooks/pre-receive
  git -c core.hooksPath=hooks receive-pack repository.git
  gitaly-hooks check /etc/gitaly/config.toml      # checks GitLab's internal API, like: gitaly check
`,
  'gitaly-lfs-smudge': `Usage: gitaly-lfs-smudge

Replaces pointers of Git LFS by the objects, from GitLab's internal API. The server runs it as git's
filter when it makes archives.

Environment:
  GITALY_LFS_SMUDGE_CONFIG  JSON with gl_repository, gitlab, tls and driver_type (0: filters standard
                            input; 1: serves git's protocol for long running filters)
  CORRELATION_ID            correlation id of the requests

Examples:
  export GITALY_LFS_SMUDGE_CONFIG='{"gl_repository":"project-1","gitlab":{"url":"http://localhost:8080"}}'
  gitaly-lfs-smudge < pointer > object
  git -c filter.lfs.smudge=gitaly-lfs-smudge archive HEAD > archive.tar
`,
  'gitaly-ssh': `Usage: gitaly-ssh upload-pack|receive-pack|upload-archive <ignored> <ignored>

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
`,
  'gitaly-wrapper': `Usage: gitaly-wrapper <program> [arguments]

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
`,
} as const;

/** Prints the help or the version if the first argument is that option. @returns whether it is. */
export function printPlainText(program: keyof typeof PLAIN_PROGRAMS, option: string | undefined): boolean {
  const isHelp = option === '--help' || option === '-h';
  if (!isHelp && option !== '--version' && option !== '-v') return false;
  process.stdout.write(isHelp ? PLAIN_PROGRAMS[program] : `${versionString(program)}\n`);
  return true;
}

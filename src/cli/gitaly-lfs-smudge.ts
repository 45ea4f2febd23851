import { tuneRuntime } from '#platform/process/tune-runtime';
import { versionString } from '#platform/process/version';

const PROGRAM = 'gitaly-lfs-smudge';
const HELP = `Usage: gitaly-lfs-smudge

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
`;

async function main(args: readonly string[]): Promise<number> {
  if (args[0] === '--help' || args[0] === '-h') {
    process.stdout.write(HELP);
    return 0;
  }
  if (args[0] === '--version' || args[0] === '-v') {
    process.stdout.write(`${versionString(PROGRAM)}\n`);
    return 0;
  }
  const { runLfsSmudge } = await import('#tools/lfs-smudge/run-lfs-smudge');
  return await runLfsSmudge(process.env, process);
}

tuneRuntime();
process.exitCode = await main(process.argv.slice(2));
process.stdin.destroy(); // git may keep its end open

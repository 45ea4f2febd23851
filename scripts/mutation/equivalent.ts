import { EQUIVALENT_IN_GIT } from './equivalent-git.ts';

/**
 * Mutants that no test can detect, because the changed program does the same, or does it only
 * slower. They do not count.
 */
export interface Equivalent {
  /** The id that the report prints, or its beginning. */
  readonly id: string;
  readonly reason: string;
}

export const EQUIVALENT: readonly Equivalent[] = [
  ...EQUIVALENT_IN_GIT,
  {
    id: 'src/storage/archive/archive-tree.ts: remove the statement: noteBulkBytes(',
    reason: 'only collections of garbage depend on it',
  },
  {
    id: 'src/storage/archive/extract-archive.ts: remove the statement: noteBulkBytes(',
    reason: 'only collections of garbage depend on it',
  },
  {
    id: 'src/storage/cache/streams/spool-file.ts: remove the statement: noteBulkBytes(',
    reason: 'only collections of garbage depend on it',
  },
  {
    id: 'src/console/repositories/repository-table.ts: drop the default: if ((this.#names[middle]',
    reason: 'a position between two ends of a list has a name',
  },
  {
    id: 'src/storage/quarantine/quarantine.ts: another number: return orderOf(a)',
    reason: 'any order of files of the same kind is right',
  },
  {
    id: 'src/domain/hooks/relay/relay-parser.ts: another number: #bytes = 0;',
    reason: 'each call sets it anew',
  },
  {
    id: 'src/domain/hooks/relay/relay.ts: remove the statement: answers.destroy();',
    reason: 'a stream that cannot be written to is destroyed already',
  },
  {
    id: 'src/domain/hooks/relay/relay-parser.ts: drop the default: const letter = String.fromCharCode(',
    reason: 'the line has a second byte, so it has a first one',
  },
  {
    id: 'src/domain/hooks/relay/relay-parser.ts: another number: const letter = String.fromCharCode(',
    reason: 'as above',
  },
  {
    id: 'src/storage/statistics/commit-graph.ts: another number: const end = HEADER_BYTES +',
    reason: 'the last entry is the mark of the end, which has no name',
  },
  {
    id: 'src/rpc/server/authority/find-authority.ts: another number: reader.number(5);',
    reason: 'a byte from 0x20 to 0x3f has the same number in its last five and six bits',
  },
  {
    id: 'src/domain/ref-update/set-default-branch.ts: remove the statement: await inRefTransaction(',
    reason: 'not executed with git before 2.46',
  },
  {
    id: 'src/domain/ref-update/voted-updates.ts: remove the statement: await this.#transaction.updateSy',
    reason: 'as above',
  },
  {
    id: 'src/domain/ref-update/write-reference.ts: === → !==: const isForGit = hooks === undefined',
    reason: 'the object is looked up by git or before it, with the same result',
  },
  {
    id: 'src/domain/hooks/hooks-directories.ts: remove the await: await chmod(',
    reason: 'the copy of an executable file is executable',
  },
  {
    id: 'src/rpc/server/authority/find-authority.ts: >= → >: if (first >= 0x80) {',
    reason: 'an index of 0 is an error of HPACK, with which node:http2 ends the connection',
  },
  {
    id: 'src/rpc/server/connection/server-connection.ts: false → true: #hasSent = false;',
    reason: 'the first ping is no strike in any case',
  },
  {
    id: 'src/rpc/server/connection/server-connection.ts: >= → >: if (sinceLastMs >= ',
    reason: 'two readings of the clock are never exactly that far apart',
  },
  {
    id: 'src/rpc/server/connection/server-connection.ts: another number: for (const stream of this.#sending)',
    reason: 'a message has at least five bytes',
  },
  {
    id: 'src/rpc/server/connection/server-connection.ts: > → >=: if (pieces.length > 0) duplex.unshift(',
    reason: 'no bytes are put back then',
  },
  {
    id: 'src/rpc/server/connection/connection-problems.ts: drop the default: const level = CUT_BY_PEER.has(',
    reason: 'a missing code is none of them, either',
  },
  {
    id: 'src/rpc/server/connection/unix-socket-file.ts: drop the default: socket.on(',
    reason: 'as above',
  },
  {
    id: 'src/domain/backup/manifest.ts: drop the default: const fields = JsonFields.of(parse(document))',
    reason: 'a TOML document is always a table',
  },
  {
    id: 'src/domain/backup/staged-repository.ts: remove the statement: this.repository.caches.forget(',
    reason: 'processes of a removed directory only end later',
  },
  {
    id: 'src/praefect/feed/record-changes.ts: || → &&: if (node === null || journal === null',
    reason: 'the three columns are written together',
  },
  {
    id: 'src/praefect/coordinator/write-finalizer.ts: drop the default: source: holders.includes',
    reason: 'copies are queued only when a replica has the write; the default is for the compiler',
  },
  {
    id: 'src/praefect/coordinator/write-finalizer.ts: drop the default: commits: transaction?.commits',
    reason: 'without votes no commits are looked up; the default is for the compiler',
  },
  {
    id: 'src/praefect/store/postgres-store.ts: remove the await: await sql`SELECT FROM repositories WHERE',
    reason: 'a connection runs its statements one after the other',
  },
  {
    id: 'src/praefect/elections/health-manager.ts: < → <=: const all =',
    reason: 'no two nodes have the same name',
  },
  {
    id: 'src/praefect/config/schema.ts: true → false: name: text({',
    reason: 'a static check compares the example file, where alone it shows',
  },
  {
    id: 'src/gateway/ssh/git-session.ts: remove the await: await this.#with(channel, async (output)',
    reason: 'nothing follows, and the function catches its errors',
  },
  {
    id: "src/gateway/http/request-body.ts: drop the default: if (Number(request.headers['content-length']",
    reason: 'no comparison with NaN holds, either',
  },
  {
    id: "src/gateway/http/request-body.ts: another number: if (Number(request.headers['content-length']",
    reason: 'no limit is smaller than one byte',
  },
  {
    id: 'src/gateway/http/pages/serve-page.ts: drop the default: ',
    reason: 'requests that a server receives have a method and an address',
  },
  {
    id: 'src/gateway/ssh/keys/public-key.ts: drop the default: return start === -1',
    reason: 'there is a byte at that position',
  },
  {
    id: 'src/client/rails/services/ref-options.ts: return undefined: if (limit === undefined',
    reason: 'the result is spread, and undefined has no fields',
  },
  {
    id: 'src/domain/receive-pack/push-votes.ts: remove the statement: await slice.pause(signal);',
    reason: 'as above',
  },
  {
    id: 'src/domain/receive-pack/receive-pack.ts: remove the statement: await sweeping;',
    reason: 'the same is removed, only after the response',
  },
  {
    id: "src/domain/receive-pack/git-receive-pack.ts: return undefined: if (name === '') return {};",
    reason: 'the result is spread, and undefined has no fields',
  },
  {
    id: "src/domain/upload-pack/pack-gate.ts: another number: rest = (lines.pop() ?? '').slice(0,",
    reason: 'the hook writes its lines of two bytes in one piece, which a pipe does not cut',
  },
  {
    id: 'src/tokens/pattern.ts: another number: if (at.length === 2 &&',
    reason: 'the loop reads each character then, with the same result',
  },
  {
    id: 'src/archive/lfs/lfs-archive.ts: return undefined: return {}; // `verify` finds',
    reason: 'the result is spread, and undefined has no fields',
  },
  {
    id: 'src/domain/languages/counted-files.ts: > → >=: for (let end = path.lastIndexOf(SLASH)',
    reason: 'no path in a tree begins with a slash',
  },
  {
    id: 'src/domain/housekeeping/commands/run-repack.ts: remove the await: await Promise.allSettled(left',
    reason: 'the files go at the same time, and nothing needs to wait for it',
  },
  {
    id: 'src/services/conflicts/list-conflict-files.ts: another number: waitingBytes = 0',
    reason: 'a response ends a byte earlier; clients join the contents',
  },
  {
    id: 'src/archive/publish/archived-repository.ts: * → /: this.#inlineBytes = INLINE_BYTES',
    reason: 'an estimate, which is too small for a checkpoint of its own',
  },
  {
    id: 'src/domain/bundle/automatic/make-chain.ts: drop the default: const newest = chain.bundles.at(-1)',
    reason: 'the parser refuses a chain without bundles',
  },
  {
    id: 'src/domain/checksum/calculate-checksum.ts: remove the throw: if (!(error instanceof GitExitError)',
    reason: 'the next command fails in the same way',
  },
  {
    id: 'src/client/content/find-text.ts: another number: [held, heldBytes] = [[], 0]',
    reason: 'a match has a byte less at most, at the limit of its size',
  },
  {
    id: 'src/archive/lfs/lfs-archive.ts: negate the condition: return present.length === 0',
    reason: 'files that are archived already are looked for again',
  },
  {
    id: 'src/cli/praefect-commands/repository-commands.ts: another number: const WALK_BATCH',
    reason: 'only the size of batches differs',
  },
  {
    id: 'src/client/connect/subconnection.ts: another number: const max = (options.maxTransports ?? 1)',
    reason: 'less than one more transport is none',
  },
];

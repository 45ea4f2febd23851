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
  {
    id: 'src/git/command/process/bulk-pipe.ts: negate the condition: if (total > BULK_AFTER_BYTES)',
    reason: 'only the size of the buffer of the kernel differs',
  },
  {
    id: 'src/git/command/allowed.ts: true → false',
    reason: 'git reads attributes only for some of these commands; the entry is for safety',
  },
  {
    id: 'src/git/refs/storage/files/packed-refs-cache.ts: + → -: const count = readSync(',
    reason: 'the kernel reads a file whole, so there is no second read',
  },
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
    id: 'src/git/refs/update/ref-update-error.ts: drop the default: return Buffer.from(latin1',
    reason: 'a rule that matches has its groups',
  },
  {
    id: 'src/git/command/process/bulk-pipe.ts: another number: const fds = new Int32Array(2)',
    reason: 'the third number is not used',
  },
  {
    id: 'src/git/command/process/bulk-pipe.ts: > → >=: if (total > BULK_AFTER_BYTES)',
    reason: 'only the size of the buffer of the kernel differs',
  },
  {
    id: 'src/git/command/process/stderr-head.ts: another number: if (this.#chunks.length > 1)',
    reason: 'one piece is joined to itself',
  },
  {
    id: 'src/git/refs/storage/files/scan-packed-refs.ts: another number: let start = block.lastIndexOf(LF)',
    reason: 'a line has more than one byte',
  },
  {
    id: 'src/git/command/spawner/posix-spawner.ts: drop the !: if (!(error instanceof SpawnError)',
    reason: 'not executed with a C library that cannot start in a group (glibc before 2.39)',
  },
  {
    id: 'src/git/command/spawner/posix-spawner.ts: || → &&: if (!(error instanceof SpawnError)',
    reason: 'as above',
  },
  {
    id: 'src/git/command/spawner/posix-spawner.ts: negate the condition: if (!(error instanceof SpawnError)',
    reason: 'as above',
  },
  {
    id: 'src/git/command/spawner/posix-spawner.ts: remove the throw: if (!(error instanceof SpawnError)',
    reason: 'as above',
  },
  {
    id: 'src/git/command/spawner/posix-spawner.ts: return undefined: return spawnChild(request, { ...tools',
    reason: 'as above',
  },
  {
    id: 'src/git/command/spawner/posix-spawner.ts: remove the statement: startsInGroup = false;',
    reason: 'as above',
  },
  {
    id: 'src/git/names/wildmatch.ts: < → <=: if (isNegated) for (let each',
    reason: 'the set has no byte 256',
  },
  {
    id: 'src/git/refs/list/parse-branch-tip.ts: > → >=: while (end > start',
    reason: 'bytes from the start to before it are none',
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
    id: 'src/git/refs/list/read-ref-objects.ts: another number: bytes = 0;',
    reason: 'batches are one byte smaller',
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
    id: 'src/git/refs/storage/files/name-ranges.ts: another number: behind[length - 1] = (behind[',
    reason: 'there is a byte at that position',
  },
  {
    id: 'src/git/refs/storage/files/packed-refs-cache.ts: - → +: const wanted = Math.min(length, this.size',
    reason: 'the read ends with the file; only a window at the end is read again',
  },
  {
    id: 'src/git/command/output.ts: drop the default: stdout: output?.writeEnd',
    reason: 'a start has the same default',
  },
  {
    id: 'src/git/command/output.ts: remove the statement: noteBulkBytes(',
    reason: 'only collections of garbage depend on it',
  },
  {
    id: 'src/git/command/process/stderr-head.ts: <= → <: if (space <= 0)',
    reason: 'an empty piece is kept',
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
    id: 'src/git/trees/tree-table.ts: negate the condition: if (slice.isOverAfterItem())',
    reason: 'only the length of a slice of the event loop differs, which test/loop-blocks measures',
  },
  {
    id: 'src/git/trees/tree-table.ts: remove the await: if (slice.isOverAfterItem())',
    reason: 'as above',
  },
  {
    id: 'src/git/trees/change-tree.ts: negate the condition: if (slice.isOverAfterItem())',
    reason: 'as above',
  },
  {
    id: 'src/git/trees/change-tree.ts: remove the statement: output.copyUpTo(end);',
    reason: 'as above; the same bytes are copied later',
  },
  {
    id: 'src/domain/receive-pack/push-votes.ts: remove the statement: await slice.pause(signal);',
    reason: 'as above',
  },
  {
    id: 'src/git/trees/change-tree.ts: another number: const added = steps.reduce(',
    reason: 'the buffer is larger, and only its used part is returned',
  },
  {
    id: 'src/git/trees/change-tree.ts: > → >=: if (end > this.#read)',
    reason: 'a copy of no bytes',
  },
  {
    id: 'src/git/trees/tree-entries.ts: >= → >: if (at >= length && at >= otherLength)',
    reason: 'one more pair of equal bytes is compared',
  },
  {
    id: 'src/git/trees/tree-entries.ts: drop the default: if (byte !== otherByte)',
    reason: 'there is a byte at both positions',
  },
  {
    id: 'src/git/trees/tree-entries.ts: another number: mode = 0;',
    reason: 'the constructor sets it to that of the first entry',
  },
  {
    id: 'src/git/trees/change-tree.ts: another number: return SLASH - (key[length] ?? 0)',
    reason: 'there is a byte at that position',
  },
  {
    id: 'src/git/trees/walked-entry.ts: drop the default: out[position++] = HEX[',
    reason: 'there is a digit for each number',
  },
  {
    id: 'src/git/trees/flat-paths.ts: another number: const MAX_TREE_BYTES =',
    reason: 'a tree of that size has more than one entry, and is not skipped either',
  },
  {
    id: 'src/git/trees/open-entry.ts: drop the !: !path.includes(LINE_FEED)',
    reason: 'only the number of processes that read differs',
  },
  {
    id: 'src/git/trees/open-entry.ts: negate the condition: const guess = isCheap(',
    reason: 'only the number of round trips differs',
  },
  {
    id: 'src/git/trees/open-entry.ts: return undefined: return entry?.oid === object.oid',
    reason: 'what is cached is read by the way behind it',
  },
  {
    id: 'src/git/trees/sort-entries.ts: remove the statement: await slice.pause(signal);',
    reason: 'only the pauses for other calls differ',
  },
  {
    id: 'src/git/trees/walked-entry.ts: negate the condition: if (end - start > SHORT_BYTES)',
    reason: 'both ways copy the same bytes',
  },
  {
    id: 'src/git/diff/in-process/diff-trees.ts: remove the statement: await slice.pause(',
    reason: 'as above',
  },
  {
    id: 'src/git/diff/diff-outputs.ts: remove the statement: else this.#chunks.length = 0',
    reason: 'only memory is held longer',
  },
  {
    id: 'src/git/trees/change-tree.ts: true → false: if (oldMode !== undefined) stepAt(name, oldMode).drops',
    reason: 'the tree is then written anew, with the same result',
  },
  {
    id: 'src/git/trees/change-tree.ts: negate the condition: if (added.some(({ drops })',
    reason: 'as above',
  },
  {
    id: 'src/git/trees/tree-look-ahead.ts: another number: const average =',
    reason: 'only an estimate of a number of requests differs',
  },
  {
    id: 'src/git/trees/tree-look-ahead.ts: another number: if (this.#ahead > most / 2) return;',
    reason: 'as above',
  },
  {
    id: 'src/git/trees/open-entry.ts: && → ||: !path.includes(LINE_FEED)',
    reason: 'only a process of its own is started for some revisions',
  },
  {
    id: 'src/git/trees/walked-entry.ts: another number: const byte = this.#data[index] ?? 0',
    reason: 'there is a byte at that position',
  },
  {
    id: 'src/git/objects/named-blobs.ts: > → >=: if (revisions.length > MAX_OBJECTS)',
    reason: 'git gives the same result for one revision less',
  },
  {
    id: 'src/git/objects/parse/parse-ident.ts: + → -: for (let rest = at + 1;',
    reason: 'the slower parser of other lines has the same result',
  },
  {
    id: 'src/git/objects/open-listed.ts: * → /: const AHEAD_BYTES =',
    reason: 'only less is read ahead',
  },
  {
    id: 'src/git/merge/tree-merges.ts: remove the statement: this.#signal = signal;',
    reason: 'git ends with the signal, and the rest takes milliseconds',
  },
  {
    id: 'src/git/merge/merge-in-process.ts: drop the default: const first = await this.#kinds(few',
    reason: 'a list of two has a first and a last one',
  },
  {
    id: 'src/domain/receive-pack/receive-pack.ts: remove the statement: await sweeping;',
    reason: 'the same is removed, only after the response',
  },
  {
    id: 'src/git/names/oid-set.ts: another number: const BIG_ENDIAN =',
    reason: 'not used on machines that store the lowest byte first',
  },
  {
    id: 'src/git/lines/middle-search.ts: another number: const diagonals =',
    reason: 'the place that is added is not used',
  },
  {
    id: 'src/git/lines/myers.ts: < → <=: for (let other = start; other < afterEnd; other++)',
    reason: 'the search behind the short check has the same result',
  },
  {
    id: 'src/git/lines/split-lines.ts: another number: if (2 * count <= this.#places) return;',
    reason: 'the same table is built anew, or a larger one',
  },
  {
    id: 'src/git/lines/split-lines.ts: <= → <: if (2 * count <= this.#places) return;',
    reason: 'as above',
  },
  {
    id: 'src/git/refs/storage/reftable/stack.ts: < → <=: if (cursor.block !== undefined && (end',
    reason: 'only the name of the cursor is used, and the names are equal',
  },
  {
    id: 'src/git/merge/merge-in-process.ts: remove the statement: if (names.size > FEW_ENTRIES)',
    reason: 'only the pauses for other calls differ',
  },
  {
    id: "src/domain/receive-pack/git-receive-pack.ts: return undefined: if (name === '') return {};",
    reason: 'the result is spread, and undefined has no fields',
  },
  {
    id: 'src/git/lines/split-lines.ts: remove the statement: this.#reserve(',
    reason: 'the table grows with the lines, too',
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
    id: 'src/git/bitmap/sort-offsets.ts: remove the statement: await pause();',
    reason: 'only the pauses for other calls differ',
  },
  {
    id: 'src/git/bitmap/pack-order.ts: another number: for (; high - step > first',
    reason: 'there is an offset at that position, and other steps find the same place',
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
];

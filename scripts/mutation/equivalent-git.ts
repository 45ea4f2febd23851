/** Those of `src/git` (equivalent.ts). */
export const EQUIVALENT_IN_GIT = [
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
    id: 'src/git/refs/list/read-ref-objects.ts: another number: bytes = 0;',
    reason: 'batches are one byte smaller',
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
    id: 'src/git/lines/split-lines.ts: remove the statement: this.#reserve(',
    reason: 'the table grows with the lines, too',
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
    id: 'src/git/objects/write/write-objects.ts: remove the statement: this.#held = undefined;',
    reason: 'the objects are found to be stored when they are written again',
  },
  {
    id: 'src/git/refs/update/ref-transaction.ts: remove the await: await this.process[Symbol.asyncDispose]()',
    reason: 'the process ends all the same, a moment later',
  },
  {
    id: 'src/git/lines/split-lines.ts: drop the default: const [known, knownStart]',
    reason: 'the array has an entry at each position of a known line',
  },
];

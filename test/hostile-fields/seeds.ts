import type { DescField, DescMessage, DescOneof } from '@bufbuild/protobuf';
import { EMPTY_PACK, FLUSH, packet, ZERO_OID } from '#testkit/repositories/push';
import { encodeHooksPayload } from '#testkit/values/hooks-payload';
import type { MethodInfo } from '#wire/method-info';
import type { SandboxAddresses, TargetIds } from './sandbox.ts';
import { type Plain, withValue } from './text-fields.ts';

/** The objects and names that valid values are made from. */
export interface SeedContext {
  readonly ids: TargetIds;
  readonly addresses: SandboxAddresses;
  /** A bundle of the target repository. */
  readonly bundle: Buffer;
  /** Of the repository that a call is for. */
  readonly relativePath: string;
}

/** Requests that a method accepts, in order; one, except where the client streams. */
export type Seed = readonly Plain[];

const USER = { glId: 'user-1', name: 'Jane', email: 'jane@example.com', glUsername: 'jane', timezone: 'UTC' };
const CHANGE = (ids: TargetIds): Buffer => Buffer.from(`${ids.base} ${ids.main} refs/heads/new\n`);
const PATCH = `From 1111111111111111111111111111111111111111 Mon Sep 17 00:00:00 2001
From: A <a@example.com>
Date: Sun, 13 Sep 2020 12:26:40 +0000
Subject: [PATCH] patch

---
diff --git a/patched.txt b/patched.txt
new file mode 100644
--- /dev/null
+++ b/patched.txt
@@ -0,0 +1 @@
+patched
-- 
2.39.5

`;
/** Methods whose valid requests are not made, each with the reason. */
export const WITHOUT_VALID_REQUEST: readonly { readonly path: RegExp; readonly reason: string }[] = [
  { path: /RaftService|PartitionService|MigrateReferenceBackend/, reason: 'needs Raft or transactions' },
  { path: /RemoveAll$/, reason: 'removes everything' },
  { path: /ObjectPoolService/, reason: 'makes pools beside the repositories' },
];

/** Read by all calls that change nothing; they must leave every byte of it. */
export const SHARED = 'shared.git';
const RESOLUTION = JSON.stringify([
  { old_path: 'dir/file.txt', new_path: 'dir/file.txt', content: 'resolved\n' },
]);

/**
 * Values by the name of a field, of a whole message first, then of any. A method that is new gets
 * its values from here too; what has no entry stays empty, which is valid nearly everywhere.
 */
function valueFor(method: MethodInfo, message: DescMessage, field: DescField, ids: TargetIds): unknown {
  const bytesOrText = (text: string): string | Buffer =>
    field.fieldKind !== 'map' && field.fieldKind !== 'enum' && field.scalar === 12 ? Buffer.from(text) : text;
  const text = textFor(method, message.typeName.replace(/^gitaly\./, ''), field.name, ids);
  return text === undefined ? undefined : bytesOrText(text);
}

function textFor(method: MethodInfo, message: string, field: string, ids: TargetIds): string | undefined {
  const special: Readonly<Record<string, string>> = {
    'CommitIsAncestorRequest.ancestor_id': ids.base,
    'CommitIsAncestorRequest.child_id': ids.main,
    'CommitsByMessageRequest.query': 'three',
    'GetBlobRequest.oid': ids.blob,
    'GetLFSPointersRequest.blob_ids': ids.pointer,
    'GetTagMessagesRequest.tag_ids': ids.tag,
    'GetTagSignaturesRequest.tag_revisions': ids.tag,
    'CommitLanguagesRequest.revision': ids.main,
    'GetTreeEntriesRequest.path': '.',
    'ListLastCommitsForTreeRequest.path': 'dir',
    'RawBlameRequest.path': 'README.md',
    'RawBlameRequest.range': '1,1',
    'ListFilesRequest.revision': 'main',
    'CheckBlobsGeneratedRequest.Blob.revision': 'main:README.md',
    'CheckBlobsGeneratedRequest.Blob.path': 'README.md',
    'DiffBlobsRequest.BlobPair.left_blob': ids.blob,
    'DiffBlobsRequest.BlobPair.right_blob': ids.otherBlob,
    'FindTagRequest.tag_name': 'v1',
    'UserDeleteTagRequest.tag_name': 'v1',
    'UserCreateTagRequest.tag_name': 'v2',
    'UserCreateBranchRequest.branch_name': 'new-branch',
    'UserCreateBranchRequest.start_point': 'main',
    'UserUpdateBranchRequest.branch_name': 'at-base',
    'UserUpdateBranchRequest.newrev': ids.main,
    'UserUpdateBranchRequest.oldrev': ids.base,
    'UserFFBranchRequest.branch': 'at-base',
    'UserFFBranchRequest.commit_id': ids.main,
    'UserMergeToRefRequest.target_ref': 'refs/merge-requests/1/merge',
    'UserMergeToRefRequest.first_parent_ref': 'refs/heads/main',
    'UserRebaseToRefRequest.target_ref': 'refs/merge-requests/1/merge',
    'UserRebaseToRefRequest.first_parent_ref': 'refs/heads/main',
    'UserSquashRequest.start_sha': ids.base,
    'UserSquashRequest.end_sha': ids.main,
    'UserUpdateSubmoduleRequest.commit_sha': ids.base,
    'UserUpdateSubmoduleRequest.submodule': 'module',
    'UserRebaseConfirmableRequest.Header.branch_sha': ids.topic,
    'UserRebaseConfirmableRequest.Header.branch': 'topic',
    'UserRebaseConfirmableRequest.Header.remote_branch': 'main',
    'UserRebaseConfirmableRequest.Header.rebase_id': '1',
    'UserCommitFilesActionHeader.file_path': 'created.txt',
    'UserApplyPatchRequest.Header.target_branch': 'topic',
    'UserApplyPatchRequest.patches': PATCH,
    'ResolveConflictsRequestHeader.target_branch': 'rival',
    'ResolveConflictsRequestHeader.source_branch': 'main',
    'ResolveConflictsRequestHeader.their_commit_oid': ids.rival,
    'ResolveConflictsRequest.files_json': RESOLUTION,
    'ListConflictFilesRequest.our_commit_oid': ids.main,
    'ListConflictFilesRequest.their_commit_oid': ids.rival,
    'ResolveConflictsRequestHeader.our_commit_oid': ids.main,
    'AddNamespaceRequest.name': 'group',
    'RemoveNamespaceRequest.name': 'group',
    'NamespaceExistsRequest.name': 'group',
    'BackupRepositoryRequest.backup_id': 'b1',
    'WriteBackupIDRequest.backup_id': 'b1',
    'WalkReposRequest.storage_name': 'default',
    'GetRawChangesRequest.from_revision': ids.base,
    'GetRawChangesRequest.to_revision': ids.main,
    'SearchFilesByContentRequest.query': 'read',
    'SearchFilesByContentRequest.ref': 'main',
    'SearchFilesByNameRequest.query': '.',
    'SearchFilesByNameRequest.ref': 'main',
    'SearchFilesByNameRequest.filter': 'md$',
    'GetFileAttributesRequest.paths': 'README.md',
    'GetFileAttributesRequest.attributes': 'diff',
    'WriteRefRequest.ref': 'refs/heads/written',
    'WriteRefRequest.revision': ids.main,
    'WriteRefRequest.old_revision': '',
    'UpdateReferencesRequest.Update.reference': 'refs/heads/updated',
    'UpdateReferencesRequest.Update.old_object_id': ZERO_OID,
    'UpdateReferencesRequest.Update.new_object_id': ids.main,
    'DeleteRefsRequest.refs': 'refs/heads/topic',
    'UpdateHookRequest.ref': 'refs/heads/main',
    'UpdateHookRequest.old_value': ids.base,
    'UpdateHookRequest.new_value': ids.main,
    'CreateRepositoryRequest.default_branch': 'main',
    'FindAllRemoteBranchesRequest.remote_name': 'origin',
    'FindRefsByOIDRequest.oid': ids.main,
    'ListCommitsByRefNameRequest.ref_names': 'refs/heads/main',
    'GitCommit.id': ids.topic,
    'RawRangeDiffRequest.revision_range.rev1': 'main',
    'WikiFindPageRequest.title': 'README',
    'WikiUpdatePageRequest.page_path': 'README.md',
    'WikiUpdatePageRequest.title': 'renamed',
    'WikiUpdatePageRequest.format': 'markdown',
    'WikiWritePageRequest.name': 'created',
    'WikiWritePageRequest.format': 'markdown',
    'WikiCommitDetails.name': 'Jane',
    'WikiCommitDetails.email': 'jane@example.com',
  };
  const known = special[`${message}.${field}`];
  if (known !== undefined) return known;
  if (message === 'GitCommit' || message === 'CommitAuthor') return undefined;
  if (/^(range1|range2)$/.test(field)) return field === 'range1' ? `${ids.base}..main` : `${ids.base}..topic`;
  if (
    /^(left|old|from|base|parent|ancestor|start_revision)/.test(field) &&
    /rev|commit|^from$|^base$/.test(field)
  )
    return ids.base;
  if (/^(their_commit_oid|source_sha)$/.test(field)) return ids.topic;
  if (field === 'storage_name') return 'default';
  if (/^rev2$/.test(field)) return 'topic';
  if (
    /^(revisions?|rev1|to|treeish|right_.*|new_revision|commit_revision|start_point|target_revision)$/.test(
      field,
    )
  )
    return 'main';
  if (/^(commit_ids?|commits|commit_sha|shas|oids?|pointing_at_oids)$/.test(field))
    return /Merge|Branch/.test(method.name) && field === 'commit_id' ? ids.topic : ids.main;
  if (/^(branch|branch_name)$/.test(field)) return 'main';
  if (/^(ref|reference|reference_name|ref_name)$/.test(field)) return 'refs/heads/main';
  if (field === 'name' && message === 'FindBranchRequest') return 'main';
  if (/^(path|file_path)$/.test(field)) return 'README.md';
  if (/^(query|message_regex|author)$/.test(field)) return undefined;
  if (/patterns$/.test(field)) return /exclude|message/.test(field) ? undefined : 'refs/';
  if (/^(message|commit_message)$/.test(field)) return 'message';
  if (field === 'sort_field') return 'refname';
  if (/^gl_(id|username|repository)$/.test(field)) return 'user-1';
  return undefined;
}

/** Fields that exclude others: when the first is tried, the second is left out. */
const INSTEAD_OF: Readonly<Record<string, string>> = {
  'FindChangedPathsRequest.commits': 'requests',
  'DiffBlobsRequest.raw_info': 'blobPairs',
  'CountCommitsRequest.revision': 'revisions',
};

/**
 * Makes the requests of a method that are valid for the target repository.
 *
 * @param path of the field that is to be replaced, if any.
 */
export function seedFor(method: MethodInfo, context: SeedContext, path = ''): Seed {
  const [name] = path.split('.');
  const excluded = INSTEAD_OF[`${method.input.name}.${name}`];
  const seed = wholeSeed(method, context);
  if (excluded === undefined) return seed;
  return seed.map((request) =>
    Object.fromEntries(Object.entries(request).filter(([key]) => key !== excluded)),
  );
}

function wholeSeed(method: MethodInfo, context: SeedContext): Seed {
  const special = specialSeed(method, context);
  if (special !== undefined) return special;
  const message = messageFor(method, method.input, context, 0);
  const [oneof] = method.input.oneofs;
  const streams = method.kind === 'client_stream' || method.kind === 'bidi_stream';
  // In a stream, a oneof at the top distinguishes the kinds of messages: one of each, the header
  // first.
  return streams && oneof !== undefined ? eachCase(method, message, oneof, context) : [message];
}

function eachCase(method: MethodInfo, message: Plain, oneof: DescOneof, context: SeedContext): Seed {
  return oneof.fields.map((field, index) => {
    const inner = field.fieldKind === 'message' ? messageFor(method, field.message, context, 1) : undefined;
    const value = inner ?? valueFor(method, method.input, field, context.ids) ?? defaultOf(field);
    return withValue(index === 0 ? message : {}, field, value);
  });
}

function defaultOf(field: DescField): unknown {
  if (field.fieldKind === 'enum') return 0;
  if (field.fieldKind === 'scalar' && field.scalar === 8) return true;
  return field.fieldKind === 'scalar' && field.scalar === 12 ? Buffer.from('text') : 'text';
}

function messageFor(method: MethodInfo, message: DescMessage, context: SeedContext, depth: number): Plain {
  if (message.typeName === 'gitaly.Repository') return repositoryOf(context);
  if (message.typeName === 'gitaly.ObjectPool') return poolOf(context);
  if (message.typeName === 'gitaly.User')
    return { ...USER, name: Buffer.from(USER.name), email: Buffer.from(USER.email) };
  if (/^google\.|GlobalOptions$|PaginationParameter$/.test(message.typeName) || depth > 4) return {};
  let plain: Plain = {};
  for (const field of message.fields) {
    // The last one of a oneof is taken; which, does not matter.
    const value = fieldFor(method, message, field, context, depth);
    if (value !== undefined) plain = withValue(plain, field, value);
  }
  return plain;
}

function fieldFor(
  method: MethodInfo,
  message: DescMessage,
  field: DescField,
  context: SeedContext,
  depth: number,
): unknown {
  if (field.fieldKind === 'message') {
    // Times, options and pages may be left out, and a second repository too.
    if (/timestamp|before|after|global_options|pagination|start_repository/.test(field.name))
      return undefined;
    if (field.message.typeName === 'gitaly.GitCommit' && !/^commit$/.test(field.name)) return undefined;
    return messageFor(method, field.message, context, depth + 1);
  }
  if (field.fieldKind === 'list' && field.listKind === 'message') {
    if (/raw_info|trailers/.test(field.name)) return undefined;
    return [messageFor(method, field.message, context, depth + 1)];
  }
  if (`${message.name}.${field.name}` === 'FindChangedPathsRequest.commits') return undefined;
  const value = valueFor(method, message, field, context.ids);
  if (value !== undefined) return field.fieldKind === 'list' ? [value] : value;
  if (field.name === 'limit') return field.fieldKind === 'scalar' && field.scalar === 3 ? 100n : 100;
  return undefined;
}

function repositoryOf({ relativePath }: SeedContext): Plain {
  return { storageName: 'default', relativePath, glRepository: 'project-1', glProjectPath: 'group/project' };
}

const POOL = '4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce';

/** A pool that does not exist, at a place that calls may change. */
function poolOf(context: SeedContext): Plain {
  const relativePath = `${context.relativePath}/objects/@pools/4e/07/${POOL}.git`;
  return { repository: repositoryOf({ ...context, relativePath }) };
}

/** Streams whose messages have no oneof, and values that are made of others. */
function specialSeed(method: MethodInfo, context: SeedContext): Seed | undefined {
  const { ids } = context;
  const repository = repositoryOf(context);
  const environmentVariables = [`GITALY_HOOKS_PAYLOAD=${payload(context)}`];
  const user = { ...USER, name: Buffer.from(USER.name), email: Buffer.from(USER.email) };
  const fetch = Buffer.from(`${packet(`want ${ids.main} no-progress\n`)}${FLUSH}${packet('done\n')}`);
  const push = Buffer.from(`${packet(`${ZERO_OID} ${ids.main} refs/heads/pushed\0report-status`)}0000`);
  switch (method.name) {
    case 'PreReceiveHook':
    case 'PostReceiveHook':
    case 'ReferenceTransactionHook':
      return [{ repository, environmentVariables }, { stdin: CHANGE(ids) }];
    case 'ProcReceiveHook':
      return [
        { repository, environmentVariables: [`GITALY_HOOKS_PAYLOAD=${payload(context, 1)}`] },
        { stdin: Buffer.from(`${packet('version=1\0atomic')}0000`) },
      ];
    case 'CreateFork': {
      const sourceRepository = { ...repository, relativePath: SHARED };
      return [{ repository, sourceRepository, revision: Buffer.from('refs/heads/main') }];
    }
    case 'CreateRepositoryFromURL':
      return [{ repository, url: `${context.addresses.web}/remote.git` }];
    case 'CreateRepositoryFromSnapshot':
      return [{ repository, httpUrl: `${context.addresses.web}/snapshot.tar` }];
    case 'CreateRepositoryFromBundle':
    case 'FetchBundle':
      return [{ repository, data: context.bundle }];
    case 'RemoveAll':
      return [{ storageName: '' }]; // a valid one removes the sandbox
    case 'FindMergeBase':
      return [{ repository, revisions: [Buffer.from('main'), Buffer.from('topic')] }];
    case 'RenameRepository':
      return [{ repository, relativePath: `${context.relativePath}-renamed.git` }];
    case 'CreateBundleFromRefList':
      return [{ repository, patterns: [Buffer.from('refs/heads/main')] }];
    case 'FetchRemote':
      return [{ repository, remoteParams: { url: `${context.addresses.web}/remote.git` } }];
    case 'FetchSourceBranch':
      return [
        {
          repository,
          sourceRepository: { ...repository, relativePath: SHARED },
          sourceBranch: Buffer.from('topic'),
          targetRef: Buffer.from('refs/heads/fetched'),
        },
      ];
    case 'ClockSynced':
      return [{ ntpHost: context.addresses.timeServer, driftThresholdMillis: 600_000n }];
    case 'UpdateHook':
      return [
        {
          repository,
          environmentVariables,
          ref: Buffer.from('refs/heads/main'),
          oldValue: ids.base,
          newValue: ids.main,
        },
      ];
    case 'PackObjectsHook':
      return [
        { repository, args: ['pack-objects', '--revs', '--stdout'] },
        { stdin: Buffer.from(`${ids.main}\n--not\n\n`) },
      ];
    case 'PackObjectsHookWithSidechannel':
      return [
        { repository, environmentVariables, args: ['pack-objects', '--revs', '--stdout'], glId: 'user-1' },
      ];
    case 'SSHUploadPack':
      return [{ repository }, { stdin: fetch }];
    case 'SSHReceivePack':
      return [
        { repository, glId: 'user-1', glRepository: 'project-1' },
        { stdin: push },
        { stdin: EMPTY_PACK },
      ];
    case 'SSHUploadArchive':
      return [
        { repository },
        { stdin: Buffer.from(`${packet('argument --format=tar')}${packet('argument main')}0000`) },
      ];
    case 'PostUploadPack':
      return [{ repository }, { data: fetch }];
    case 'PostReceivePack':
      return [
        { repository, glId: 'user-1', glRepository: 'project-1' },
        { data: push },
        { data: EMPTY_PACK },
      ];
    case 'GetObjectDirectorySize':
      return [{ repository: { ...repository, gitObjectDirectory: 'objects' } }];
    case 'UserMergeBranch':
      return [
        {
          repository,
          user,
          commitId: ids.topic,
          branch: Buffer.from('main'),
          message: Buffer.from('merge'),
        },
        { apply: true },
      ];
    case 'UserCherryPick':
    case 'UserRevert': {
      const [commit, branch] = method.name === 'UserRevert' ? [ids.main, 'main'] : [ids.topic, 'main'];
      return [
        {
          repository,
          user,
          commit: { id: commit },
          branchName: Buffer.from(branch),
          message: Buffer.from('message'),
        },
      ];
    }
    default:
      return undefined;
  }
}

function payload({ relativePath }: SeedContext, transactionId = 0): string {
  return encodeHooksPayload({
    requestedHooks: 31,
    featureFlags: [],
    repository: { storageName: 'default', relativePath, glRepository: 'project-1', glProjectPath: 'g/p' },
    objectFormat: 'sha1',
    runtimeDirectory: '/nowhere',
    internalSocket: '/nowhere/intern',
    internalSocketToken: '',
    transaction: undefined,
    user: { username: 'jane', userId: 'user-1', protocol: 'http', remoteIp: '' },
    transactionId,
    clientContext: undefined,
  });
}

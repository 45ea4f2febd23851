import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SignJWT } from 'jose';
import { type ApiAnswer, exampleArguments, startApi } from '#testkit/servers/start-api';
import { issueToken } from '#tokens/issue';
import { parseScope } from '#tokens/scope';
import { TokenStore } from '#tokens/token-store';
import { TokenVerifier } from '#tokens/token-verifier';
import { scopedTokenAuthentication } from '../auth/scoped-token-authentication.ts';
import { exampleRequest } from './agents-page.ts';
import type { ApiOperation } from './operation.ts';
import { OPERATIONS } from './operations/table.ts';

/** Answers that rights and rules do not cause: the operation was allowed, whatever came of it. */
const REFUSED = new Set([401, 403]);

type Holder = 'reader' | 'writer' | 'ruled' | 'admin' | 'other' | 'expired' | 'nobody' | 'wrong';

/** Returns the statuses that a holder may get; `undefined` if the operation is allowed. */
function refusalOf(holder: Holder, { id, right }: ApiOperation): readonly number[] | undefined {
  if (holder === 'nobody' || holder === 'expired' || holder === 'wrong') return [401];
  if (id === 'createRepository' || id === 'forkRepository') {
    if (holder === 'other') return id === 'createRepository' ? [404] : [404];
    return holder === 'admin' ? undefined : [403];
  }
  if (right === 'none') return undefined;
  if (holder === 'other') return [404];
  if (right === 'read') return undefined;
  if (holder === 'reader') return [403];
  if (right === 'admin') return holder === 'admin' ? undefined : [403];
  return holder === 'ruled' ? [403] : undefined;
}

test('operations and tools need the right of their row, and obey the rules of a token', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'tokens-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const store = new TokenStore(directory);
  await store.prepare();
  const authenticator = scopedTokenAuthentication({ verifier: new TokenVerifier({ store }) });
  const token = async (scope: object): Promise<string> =>
    (await issueToken(store, { subject: 'ann', scope: parseScope(scope), lifetimeSeconds: 600 })).token;
  const team = ['team/**'];
  const { id: kid, key } = await store.signingKey();
  const now = Math.floor(Date.now() / 1000);
  const scope = { access: 'admin', repositories: ['**'] };
  const noted = { subject: 'ann', scope: parseScope(scope), issuedAt: now - 3600, expiresAt: now - 60 };
  const claims = {
    ...{ iss: 'gitaly-ts', aud: 'gitaly-ts', sub: 'ann', gitaly_ts: scope },
    ...{ jti: await store.note(noted), exp: now - 60 },
  };
  const tokens: Readonly<Record<Holder, string | undefined>> = {
    reader: await token({ access: 'read', repositories: team }),
    writer: await token({ access: 'write', repositories: team }),
    ruled: await token({ access: 'admin', repositories: team, references: [{ deny: '**' }] }),
    admin: await token({ access: 'admin', repositories: team }),
    other: await token({ access: 'admin', repositories: ['elsewhere/**'] }),
    expired: await new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', kid }).sign(key),
    nobody: undefined,
    wrong: 'not-a-token',
  };
  await using api = await startApi({ authenticator });
  const { repository } = api;
  const patch = await repository.git(['format-patch', '-1', '--stdout', 'topic']);
  const before = await repository.git(['for-each-ref']);

  // Those that may not come first, so that what they must not change is still there.
  const holders = ['nobody', 'wrong', 'expired', 'other', 'reader', 'ruled', 'writer', 'admin'] as const;
  for (const holder of holders) {
    if (holder === 'writer') assert.equal(await repository.git(['for-each-ref']), before);
    for (const row of OPERATIONS) {
      if (row.id === 'createRepository' && holder === 'ruled') continue; // its rules are about references
      if (row.id === 'forkRepository' && holder === 'ruled') continue;
      const topic = await repository.git(['rev-parse', 'topic']).catch(() => 'f'.repeat(40));
      const request = filled(exampleRequest(row), { $TOPIC: topic, $PATCH: patch });
      // What an administrator removes and renames is gone for the rows behind.
      const isLast = holder === 'admin' && (row.id === 'removeRepository' || row.id === 'renameRepository');
      if (isLast) continue;
      const { method, address, ...rest } = request;
      const answer = await api.send(method, address, { ...rest, token: tokens[holder] });

      const expected = refusalOf(holder, row);
      const told = `${holder} ${row.id}: ${answer.status} ${answer.bytes.toString().slice(0, 300)}`;
      if (expected === undefined) assert.ok(!REFUSED.has(answer.status) && answer.status < 500, told);
      else assert.ok(expected.includes(answer.status), told);
      if (answer.status >= 400)
        assert.equal(answer.headers.get('content-type'), 'application/problem+json', told);
      if (row.tool === undefined) continue;
      const tool = await api.callTool(row.tool, exampleArguments(row), tokens[holder]);
      const status = statusOf(tool);
      const said = `${holder} ${row.tool}: ${status} ${tool.bytes.toString().slice(0, 300)}`;
      if (expected === undefined) assert.ok(!REFUSED.has(status) && status < 500, said);
      else assert.ok(expected.includes(status), said);
      if (status === 401) assert.match(tool.headers.get('www-authenticate') ?? '', /^Basic /);
    }
  }
  for (const [method, address, body] of [
    ['POST', '/repositories/team%2Fapp/rename', { path: 'team/renamed' }],
    ['DELETE', '/repositories/team%2Frenamed', undefined],
  ] as const) {
    const answer = await api.send(method, address, { body, token: tokens.admin });
    assert.ok(answer.status < 300, answer.bytes.toString());
  }
});

/** Returns the status of a tool's call: that of HTTP, or of the problem that the tool has. */
function statusOf({ json, status }: ApiAnswer): number {
  return json?.result?.isError === true ? JSON.parse(json.result.content[0].text).status : status;
}

/** Replaces what an example takes from the repository. */
function filled<R extends object>(request: R, values: Readonly<Record<string, string>>): R {
  const texts = JSON.stringify(request, (_, value: unknown) =>
    typeof value === 'string' && Object.hasOwn(values, value) ? values[value] : value,
  );
  return JSON.parse(texts) as R; // the same fields
}

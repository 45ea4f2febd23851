import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { pushBody, readReport, ZERO_OID } from '#testkit/repositories/push';
import { startInternalApi } from '#testkit/servers/internal-api';
import { setVariable } from '#testkit/set-variable';
import { startGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'r.git', glRepository: 'project-1' };
const user = { glId: 'user-1', glUsername: 'jane', name: Buffer.from('Jane'), email: Buffer.from('j@x') };
const REFUSE = { '/allowed': [200, { status: false, message: 'GitLab says no' }] };

for (const value of ['1', 'false']) {
  const isOff = value === '1';
  test(`GITALY_TESTING_NO_GIT_HOOKS=${value}: ${isOff ? 'a script' : 'GitLab'} decides`, async (context) => {
    setVariable(context, 'GITALY_TESTING_NO_GIT_HOOKS', value);
    await using internalApi = await startInternalApi();
    internalApi.reset(REFUSE);
    await using gitaly = await startGitaly({ internalApi, customHooks: true });
    const path = initServed(gitaly, 'r.git', { commits: 1 });
    const oid = gitOutput(path, ['rev-parse', 'main']);
    const script = join(path, 'custom_hooks/pre-receive');
    mkdirSync(dirname(script));
    writeFileSync(script, '#!/bin/sh\ngrep -q refused && exit 1\ntouch "$GIT_DIR/ran"\n');
    chmodSync(script, 0o755);

    const answer: Uint8Array[] = [];
    const body = pushBody([`${ZERO_OID} ${oid} refs/heads/pushed`]);
    const requests = [{ repository, glId: 'user-1', glUsername: 'jane' }, { data: body }];
    for await (const { data } of gitaly.connection.smartHttp.postReceivePack(requests)) answer.push(data);
    const create = (name: string): Promise<string> => {
      const branch = { repository, user, branchName: Buffer.from(name), startPoint: Buffer.from('main') };
      return gitaly.connection.operation.userCreateBranch(branch).then(
        () => 'created',
        () => 'refused',
      );
    };
    const created = await create('called');
    const refused = await create('refused');

    const refs = gitOutput(path, ['for-each-ref', '--format=%(refname:short)']).split('\n');
    assert.deepEqual(refs.sort(), isOff ? ['called', 'main', 'pushed'] : ['main']);
    assert.equal(created, isOff ? 'created' : 'refused');
    assert.equal(refused, 'refused');
    assert.equal(/^ng /m.test(readReport(Buffer.concat(answer)).report.join('\n')), !isOff);
    assert.equal(internalApi.calls.length > 0, !isOff);
    assert.equal(existsSync(join(path, 'ran')), isOff);
    assert.equal(
      gitaly.log.some(({ msg }) => String(msg).startsWith('skipping GitLab API client creation')),
      isOff,
    );
  });
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { CapturedOutput } from '../hooks/captured-output.ts';
import { NotAllowedError } from '../hooks/not-allowed-error.ts';
import { RuleRefusal } from '../hooks/push-rules/push-changes.ts';
import { CustomHookError } from '../hooks/run-custom-hooks.ts';
import { HookRefusedError, ReferenceUpdateError, UpdateFailedError, withOutput } from './refusals.ts';

async function outputOf({ stdout = '', stderr = '' }): Promise<CapturedOutput> {
  const output = new CapturedOutput();
  await output.stdout(Buffer.from(stdout));
  await output.stderr(Buffer.from(stderr));
  return output;
}

const SCRIPT = new CustomHookError('/hooks/pre-receive', 1, new Error('exit status 1'));

for (const [what, printed, message] of [
  ['what the script printed as an error', { stdout: 'out', stderr: 'err\n' }, 'err\n'],
  ['what it printed, if it printed no error', { stdout: 'out\n', stderr: ' \n' }, 'out\n'],
  ['the error, if it printed nothing', { stdout: '\n' }, 'outer'],
] as const) {
  test(`the message of a refusal is ${what}`, async () => {
    const output = await outputOf(printed);
    const error = withOutput(new Error('outer', { cause: SCRIPT }), 'update', output);

    assert.ok(error instanceof HookRefusedError);
    assert.equal(error.message, message);
    assert.equal(error.hook, 'update');
    assert.deepEqual([error.stdout, error.stderr], [output.stdoutBytes, output.stderrBytes]);
  });
}

for (const [printed, message] of [
  [{ stdout: 'out', stderr: 'err' }, 'no access, stderr: "err"'],
  [{ stdout: 'out', stderr: '\n' }, 'no access, stdout: "out"'],
  [{ stdout: ' ', stderr: '' }, 'no access'],
] as const) {
  test(`the output ${JSON.stringify(printed)} is added to another error`, async () => {
    const output = await outputOf(printed);
    const known = withOutput(new GitalyError('PERMISSION_DENIED', 'no access'), 'pre-receive', output);
    const plain = withOutput(new Error('no access'), 'pre-receive', output);

    assert.ok(known instanceof GitalyError && plain instanceof Error);
    assert.deepEqual([known.code, known.message], ['PERMISSION_DENIED', message]);
    assert.equal(plain.message, message);
    if (plain instanceof GitalyError) assert.equal(plain.code, 'UNKNOWN');
  });
}

test('the refusal of a rule is its message alone, which clients show as the error of a script', async () => {
  const refusal = new RuleRefusal('rule 1 forbids it');
  const error = withOutput(refusal, 'pre-receive', await outputOf({ stdout: 'out', stderr: 'err' }));

  assert.ok(error instanceof HookRefusedError);
  assert.deepEqual([error.message, error.hook, error.cause], ['rule 1 forbids it', 'pre-receive', refusal]);
  assert.deepEqual([error.stdout.toString(), error.stderr.toString()], ['', 'rule 1 forbids it']);
});

test('a failed change knows who refused it, however deep the refusal is', async () => {
  const update = { reference: 'refs/heads/x', oldOid: '1', newOid: '2' };
  const byGit = new ReferenceUpdateError(update, new Error('locked'));
  const byHook = new HookRefusedError('update', await outputOf({}), SCRIPT);
  const user = { userId: 'user-1', username: 'jane', protocol: 'http', remoteIp: '' };
  const byGitLab = new NotAllowedError('no access', user, Buffer.alloc(0));

  assert.deepEqual(
    { ...byGit },
    { name: 'ReferenceUpdateError', reference: 'refs/heads/x', oldOid: '1', newOid: '2' },
  );
  assert.equal(byGit.message, 'reference update: locked');
  for (const [error, by] of [
    [byGitLab, 'access-check'],
    [byGit, 'git'],
    [byHook, 'custom-hook'],
    [new Error('disk'), undefined],
  ] as const) {
    const cause = new Error('outer', { cause: error });
    const failed = new UpdateFailedError(cause);
    assert.equal(failed.message, 'outer');
    assert.equal(failed.cause, cause);
    assert.equal(failed.refusal?.by, by);
    assert.equal(failed.refusal?.error, by && error);
  }
});

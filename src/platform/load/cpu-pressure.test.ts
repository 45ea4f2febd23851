import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hostCpuPressure } from './cpu-pressure.ts';

test('the pressure is that of some processes in the last ten seconds', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'pressure-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'cpu');
  // Written as in the kernel's Documentation/accounting/psi.rst.
  writeFileSync(
    path,
    'some avg10=12.34 avg60=5.00 avg300=1.00 total=9\nfull avg10=1.00 avg60=0.00 avg300=0.00 total=0\n',
  );

  assert.equal(await hostCpuPressure(path), 12.34);
  writeFileSync(path, '');
  assert.equal(await hostCpuPressure(path), undefined);
  assert.equal(await hostCpuPressure(join(directory, 'missing')), undefined);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'x.git' };
/** @see https://spdx.org/licenses/ISC.html */
const ISC = `ISC License

Copyright (c) 2004-2010 by Somebody

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is
hereby granted, provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE
INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE
FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS
OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING
OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
`;

test('the license is found in a file of HEAD, and found anew when it changes', async () => {
  await using gitaly = await startGitaly();
  const path = initServed(gitaly, 'x.git');
  const commit = (file: string, content: string): void => {
    const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], content);
    const tree = gitOutput(path, ['mktree'], `100644 blob ${blob}\t${file}\n`);
    gitOutput(path, ['update-ref', 'refs/heads/main', gitOutput(path, ['commit-tree', '-m', 'x', tree])]);
  };
  const find = () => gitaly.connection.repository.findLicense({ repository });
  assert.equal((await find()).licenseShortName, '');

  commit('LICENSE', ISC);
  const { licenseShortName, licensePath } = await find();
  // As recorded from Gitaly 19.0, which takes ISC for its shorter relative.
  assert.deepEqual([licenseShortName, licensePath], ['0bsd', 'LICENSE']);

  commit('README', 'no license');
  assert.equal((await find()).licenseShortName, '');
});

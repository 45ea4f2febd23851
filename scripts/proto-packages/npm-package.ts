import { cpSync, globSync } from 'node:fs';
import { join } from 'node:path';
import { commonFields, rootManifest } from '../packages/manifest.ts';
import { ROOT } from '../packages/run.ts';
import { write } from './proto-files.ts';

const RUNTIME = '@bufbuild/protobuf';

/** Makes the npm package `gitaly-protos`: the messages and services for protobuf-es. */
export function makeNpmPackage(folder: string, version: string): undefined {
  const generated = join(ROOT, 'src/wire/gen');
  for (const file of globSync('**/*_pb.{js,d.ts}', { cwd: generated }))
    cpSync(join(generated, file), join(folder, file));
  cpSync(join(ROOT, 'proto'), join(folder, 'proto'), { recursive: true });
  const manifest = {
    name: 'gitaly-protos',
    description: "Messages and services of Gitaly's protocol, for protobuf-es",
    ...commonFields(),
    version,
    exports: { './proto/*': './proto/*', './*': { types: './*.d.ts', default: './*.js' } },
    sideEffects: false,
    dependencies: { [RUNTIME]: rootManifest().dependencies[RUNTIME] ?? '' },
  };
  write(join(folder, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  write(
    join(folder, 'README.md'),
    `# gitaly-protos

Messages and services of Gitaly's protocol, for [protobuf-es](https://github.com/bufbuild/protobuf-es).
The \`.proto\` files are in \`proto/\`.

\`\`\`js
import { create, toBinary } from '@bufbuild/protobuf';
import { RepositorySchema } from 'gitaly-protos/shared_pb';
import { RepositoryService } from 'gitaly-protos/repository_pb';
\`\`\`
`,
  );
}

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { testObjectStore } from '#testkit/stores/object-store-contract';
import { openStore } from './open-store.ts';

const directory = makeScratchDirectory('object-store');
after(() => rmSync(directory, { recursive: true }));
let opened = 0;
const fileUrl = (): string => `file://${directory}/${opened++}`;

testObjectStore({ name: 'file', open: () => openStore(fileUrl()) });
testObjectStore({ name: 'path', open: () => openStore(join(directory, String(opened++))) });
testObjectStore({ name: 'file?prefix', open: () => openStore(`${fileUrl()}&prefix=a/b/`) });
testObjectStore({ name: 'mem', open: () => openStore('mem://') });

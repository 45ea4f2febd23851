import assert from 'node:assert/strict';
import { test } from 'node:test';
import { customHookEnvironment, environmentFromList, relativeObjectDirectories } from './hook-environment.ts';
import type { HookFacts } from './payload.ts';

const PAYLOAD: Pick<HookFacts, 'repository' | 'user'> = {
  repository: {
    storageName: 'default',
    relativePath: 'r.git',
    gitObjectDirectory: 'objects/quarantine',
    gitAlternateObjectDirectories: ['objects', 'objects/more'],
    glRepository: 'project-1',
    glProjectPath: 'group/project',
  },
  user: { username: 'jane', userId: 'user-1', protocol: 'ssh', remoteIp: '' },
};
const PARTS = {
  base: { PATH: '/usr/bin', LANG: 'en_US.UTF-8' },
  passed: {},
  environment: {},
  payload: PAYLOAD,
  repositoryPath: '/storage/r.git',
  pushOptions: [],
  gitBinary: '/opt/git/bin/git',
  correlationId: 'cid',
};

test('entries without a name or a value are left out, the last of several wins', () => {
  assert.deepEqual(
    { ...environmentFromList(['A=1', 'noequals', '=x', '', 'B=', 'A=2=3', '__proto__=x']) },
    { A: '2=3', B: '', ['__proto__']: 'x' },
  );
});

test('a script sees who pushes, where, and our git first', () => {
  assert.deepEqual(customHookEnvironment({ ...PARTS, pushOptions: ['a=b', ''] }), {
    PATH: '/opt/git/bin:/usr/bin',
    LANG: 'en_US.UTF-8',
    CORRELATION_ID: 'cid',
    GIT_DIR: '/storage/r.git',
    GIT_OBJECT_DIRECTORY: '/storage/r.git/objects/quarantine',
    GIT_ALTERNATE_OBJECT_DIRECTORIES: '/storage/r.git/objects:/storage/r.git/objects/more',
    GIT_PUSH_OPTION_COUNT: '2',
    GIT_PUSH_OPTION_0: 'a=b',
    GIT_PUSH_OPTION_1: '',
    GL_REPOSITORY: 'project-1',
    GL_PROJECT_PATH: 'group/project',
    GL_ID: 'user-1',
    GL_USERNAME: 'jane',
    GL_PROTOCOL: 'ssh',
  });
});

test('a script sees an empty text for what is not known, and nothing about a quarantine that is none', () => {
  const payload = { repository: { storageName: 'default', relativePath: 'r.git' }, user: undefined };

  assert.deepEqual(customHookEnvironment({ ...PARTS, base: {}, payload }), {
    PATH: '/opt/git/bin:',
    CORRELATION_ID: 'cid',
    GIT_DIR: '/storage/r.git',
    GL_REPOSITORY: '',
    GL_PROJECT_PATH: '',
    GL_ID: '',
    GL_USERNAME: '',
    GL_PROTOCOL: '',
  });
});

test('what git told the hook about the quarantine goes before what the payload says', () => {
  const environment = {
    GIT_OBJECT_DIRECTORY: '/q',
    GIT_ALTERNATE_OBJECT_DIRECTORIES: '/o',
    PATH: '/hook/bin',
    GIT_PUSH_CERT: 'abc',
  };

  const env = customHookEnvironment({ ...PARTS, environment });

  assert.deepEqual([env.GIT_OBJECT_DIRECTORY, env.GIT_ALTERNATE_OBJECT_DIRECTORIES], ['/q', '/o']);
  assert.deepEqual([env.PATH, env.GIT_PUSH_CERT], ['/opt/git/bin:/hook/bin', 'abc']);
});

test('object directories are given relative to the repository', () => {
  const environment = {
    GIT_OBJECT_DIRECTORY: '/s/r.git/./objects/incoming-x',
    GIT_ALTERNATE_OBJECT_DIRECTORIES: '/s/r.git/./objects:/s/pool.git/objects',
  };

  assert.deepEqual(relativeObjectDirectories('/s/r.git', environment), {
    objectDirectory: 'objects/incoming-x',
    alternateObjectDirectories: ['objects', '../pool.git/objects'],
  });
  const quoted = { ...environment, GIT_ALTERNATE_OBJECT_DIRECTORIES: '"/s:\\"/r.git/objects":/s/x' };
  assert.deepEqual(relativeObjectDirectories('/s:"/r.git', quoted)?.alternateObjectDirectories, [
    'objects',
    '../../s/x',
  ]);
  assert.equal(relativeObjectDirectories('/s/r.git', { GIT_OBJECT_DIRECTORY: '/x' }), undefined);
  assert.throws(
    () => relativeObjectDirectories('/s/r.git', { ...environment, GIT_OBJECT_DIRECTORY: './objects/x' }),
    {
      message: "Rel: can't make ./objects/x relative to /s/r.git",
    },
  );
});

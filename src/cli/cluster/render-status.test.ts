import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterStatus, StorageStatus } from '#praefect/status/cluster-status';
import { clusterStatusText, statusJson } from './render-status.ts';

const NOW = new Date('2026-01-02T03:04:05Z');
const before = (seconds: number): Date => new Date(NOW.getTime() - seconds * 1000);
const HEALTHY: StorageStatus = {
  storage: 'gitaly-1',
  isHealthy: true,
  lastSeen: before(1),
  primaries: 2,
  assigned: 3,
  outdated: 0,
  jobs: 0,
  oldestJob: undefined,
};

test('a status is a table, with unavailable repositories and problems below', () => {
  const lost = { ...HEALTHY, storage: 'gitaly-20', isHealthy: false, lastSeen: before(150), outdated: 1 };
  const status: ClusterStatus = {
    virtualStorages: [
      {
        name: 'default',
        repositories: 3,
        unavailable: 2,
        unavailablePaths: ['a.git'],
        storages: [HEALTHY, { ...lost, jobs: 4, oldestJob: before(9000) }],
      },
    ],
    praefects: [{ name: 'host:/socket', lastContact: before(2) }],
  };

  assert.equal(
    clusterStatusText(status, { isColored: false, now: NOW }),
    `VIRTUAL STORAGE  STORAGE    HEALTH     LAST SEEN  PRIMARIES  ASSIGNED  OUTDATED  JOBS  OLDEST JOB
default          gitaly-1   healthy    1s ago     2          3         0         0     -
default          gitaly-20  unhealthy  2m ago     2          3         1         4     2h ago

default: repositories 3, unavailable 2
  "a.git"
  and 1 more
praefect host:/socket, last check 2s ago

Problems:
  default: gitaly-20 is not healthy
  default: 1 replica is not up to date on gitaly-20
  default: 2 repositories are unavailable
`,
  );
});

test('what is not known is a dash, and null in JSON', () => {
  const unknown = { lastSeen: undefined, primaries: undefined, assigned: undefined, jobs: undefined };
  const status: ClusterStatus = {
    virtualStorages: [
      {
        name: 'default',
        repositories: undefined,
        unavailable: 0,
        unavailablePaths: [],
        storages: [{ ...HEALTHY, ...unknown }],
      },
    ],
    praefects: undefined,
  };

  const text = clusterStatusText(status, { isColored: false, now: NOW });

  assert.match(text, /^default +gitaly-1 +healthy +- +- +- +0 +- +-$/m);
  assert.match(text, /^default: repositories -, unavailable 0\n\nEverything is healthy and up to date\.$/m);
  assert.deepEqual(JSON.parse(statusJson(status)), {
    ok: true,
    problems: [],
    virtual_storages: [
      {
        name: 'default',
        repositories: null,
        unavailable: 0,
        unavailable_paths: [],
        storages: [
          {
            storage: 'gitaly-1',
            healthy: true,
            last_seen: null,
            primaries: null,
            assigned: null,
            outdated: 0,
            jobs: null,
            oldest_job: null,
          },
        ],
      },
    ],
    praefects: null,
  });
});

test('a cluster that no praefect watches has a problem', () => {
  const text = clusterStatusText({ virtualStorages: [], praefects: [] }, { isColored: false, now: NOW });

  assert.match(text, /Problems:\n {2}no praefect has checked the nodes in the last minute\n$/);
});

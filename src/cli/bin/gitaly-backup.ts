#!/usr/bin/env node
import './require-node.ts';

await import('../gitaly-backup.ts');

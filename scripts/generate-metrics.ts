/**
 * Writes `docs/metrics.md`: every metric that a server, praefect, or a tool has.
 *
 *   node --conditions=source scripts/generate-metrics.ts           writes the file
 *   node --conditions=source scripts/generate-metrics.ts --check   compares only
 */

import { generateFile } from './generated-file.ts';
import { metricsPage } from './metrics-page.ts';

generateFile('docs/metrics.md', await metricsPage());

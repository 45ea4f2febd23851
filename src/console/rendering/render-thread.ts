// The thread that renders texts of repositories. A slow or endless text blocks only this thread,
// and renderer.ts terminates it.
import { parentPort } from 'node:worker_threads';
import { highlightCode } from './highlight-code.ts';
import { renderMarkdown } from './render-markdown.ts';
import type { RenderRequest, RenderResponse } from './rendering.ts';

parentPort?.on('message', ({ id, job }: RenderRequest) => {
  const markup = job.kind === 'code' ? highlightCode(job.text, job.name) : renderMarkdown(job.text, job);
  parentPort?.postMessage({ id, markup } satisfies RenderResponse);
});

/**
 * The thread of a {@link DetectorLane}: it reports when it is ready, and then handles one question
 * after the other.
 */
import { parentPort } from 'node:worker_threads';
import type { DetectorAnswers, DetectorQuestion, LanguageDescription } from './detector-protocol.ts';
import { fileLanguage, isExcluded } from './file-language.ts';
import { LinguistData } from './linguist-data.ts';

const data = await LinguistData.read();

// One message at a time; only DetectorLane sends them.
parentPort?.on('message', (question: DetectorQuestion) => parentPort?.postMessage(answer(question)));
parentPort?.postMessage('ready');

function answer(question: DetectorQuestion): DetectorAnswers[DetectorQuestion['kind']] {
  switch (question.kind) {
    case 'excluded':
      return question.files.map(({ path, attributes }) => isExcluded(data, path, attributes));
    case 'languages':
      return question.files.map(({ path, attributes, content }) =>
        fileLanguage(data, path, {
          attributes,
          content: Buffer.from(content.buffer, content.byteOffset, content.byteLength),
        }),
      );
    case 'describe':
      return question.names.map(describe);
  }
}

function describe(name: string): LanguageDescription | undefined {
  const language = data.byName.get(name);
  if (language === undefined) return undefined;
  const group = language.group === undefined ? undefined : data.byName.get(language.group);
  return { id: language.id, color: language.color ?? group?.color };
}

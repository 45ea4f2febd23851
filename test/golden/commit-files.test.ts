import { replayArea } from './replay-area.ts';

replayArea('commit-files');

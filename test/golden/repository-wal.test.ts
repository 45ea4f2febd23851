import { replayArea } from './replay-area.ts';

replayArea('repository-wal');

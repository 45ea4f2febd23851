import { replayArea } from './replay-area.ts';

replayArea('objectpool');

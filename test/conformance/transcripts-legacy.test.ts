// Transcripts of VFIO groups, containers, type1 and hot resets behind a VT-d unit, recorded on Linux 6.12 and 7.3.
import { type TranscriptFiles, transcriptSuite } from '../support/transcript-suite.ts';

const STEPS = {
  'random-legacy': 1018,
  'scalable-vfio-group-rules': 66,
  'vfio-group-rules': 66,
  'vfio-legacy': 187,
  'vfio-reset': 40,
};
const FILES: TranscriptFiles = { 'v6.12': STEPS, 'v7.3': STEPS };

transcriptSuite('with groups and containers', FILES, (file) =>
  file.startsWith('scalable-') ? 'vtd-scalable-mode' : 'vtd-legacy-mode',
);

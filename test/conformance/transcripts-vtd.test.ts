// Transcripts of device nodes behind a VT-d unit, recorded on Linux 6.12 and 7.3 in legacy mode, scalable mode and with
// first-stage tables: ioctls, DMA of a device, logged faults and page-table dumps.
import { type TranscriptFiles, transcriptSuite } from '../support/transcript-suite.ts';

const FILES: TranscriptFiles = {
  'v6.12': {
    'random-cdev': 1174,
    'random-dma': 1542,
    'scalable-random-dma': 1542,
    'scalable-vfio-cdev': 200,
    'vfio-cdev': 200,
    'vfio-emulated': 33,
  },
  'v7.3': {
    'firststage-random-dma': 1542,
    'firststage-random-vfio-pasid': 494,
    'firststage-vfio-cdev': 200,
    'firststage-vfio-pasid': 154,
    'random-cdev': 1174,
    'random-dma': 1542,
    'random-vfio-pasid': 494,
    'scalable-random-dma': 1542,
    'scalable-random-vfio-pasid': 494,
    'scalable-vfio-cdev': 200,
    'scalable-vfio-pasid': 154,
    'vfio-cdev': 200,
    'vfio-emulated': 33,
    'vfio-pasid': 154,
  },
};

const setupOf = (file: string): string => {
  if (file.startsWith('firststage-')) return 'vtd-first-stage';
  return file.startsWith('scalable-') ? 'vtd-scalable-mode' : 'vtd-legacy-mode';
};

transcriptSuite('behind a VT-d unit', FILES, setupOf);

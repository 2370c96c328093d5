// Transcripts of a kernel whose /dev/vfio/vfio is served by iommufd, with an IOMMU and without, recorded on Linux 6.12
// and 7.3.
import { type TranscriptFiles, transcriptSuite } from '../support/transcript-suite.ts';

const STEPS = {
  'compat-random-legacy': 1018,
  'compat-vfio-legacy': 187,
  'compat-vfio-reset': 40,
  'vfio-compat': 22,
  'vfio-noiommu': 32,
};
const FILES: TranscriptFiles = { 'v6.12': STEPS, 'v7.3': { ...STEPS, 'vfio-noiommu-cdev': 25 } };

transcriptSuite('with iommufd as the container', FILES, (file) =>
  file.startsWith('vfio-noiommu') ? 'compat-kernel-noiommu' : 'compat-kernel',
);

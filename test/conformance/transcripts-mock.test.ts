// Transcripts of the self-test mock devices, recorded on Linux 6.12 and 7.3: every step of every file must match.
import { type TranscriptFiles, transcriptSuite } from '../support/transcript-suite.ts';

const FILES: TranscriptFiles = {
  'v6.12': {
    'iommufd-access': 53,
    'iommufd-core': 87,
    'iommufd-hwpt': 88,
    'iommufd-map': 191,
    'iommufd-objects': 97,
    'random-ioas': 1908,
  },
  'v7.3': {
    'access-replace': 22,
    'change-process': 22,
    'hwpt-mock': 20,
    'iommufd-access': 53,
    'iommufd-core': 87,
    'iommufd-hwpt': 88,
    'iommufd-map': 191,
    'iommufd-objects': 97,
    'map-file': 74,
    pasid: 238,
    'pasid-close': 14,
    'random-ioas': 1908,
    'random-pasid': 2268,
    'random-viommu': 459,
    viommu: 132,
  },
};

transcriptSuite('on mock devices', FILES, () => 'mock');

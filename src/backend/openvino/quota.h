// SPDX-License-Identifier: Apache-2.0
// The share of the processors that a container grants (docker --cpus, Kubernetes limits).
#ifndef SAC_SRC_OPENVINO_QUOTA_H
#define SAC_SRC_OPENVINO_QUOTA_H

/// Processors, rounded up, that the control groups listed in the file `groups` (/proc/self/cgroup)
/// may use, as written below the folder `root` (/sys/fs/cgroup); version 1 and 2. 0 = no limit.
int sac__openvino_quota(const char *root, const char *groups);

#endif

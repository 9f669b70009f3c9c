/*
 * What uname(2) and /proc/version say.  sysname and release are what programs parse to decide what they may use: the
 * Linux interface version Ashlar follows; the version string says who we are.
 */
#pragma once

#define ASHLAR_VERSION "0.1"
#define UTS_SYSNAME "Linux"
#define UTS_RELEASE "6.1.0-ashlar"
#define UTS_VERSION "#1 Ashlar " ASHLAR_VERSION

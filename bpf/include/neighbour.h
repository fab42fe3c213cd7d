// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

/* Neighbour discovery, for the programs that let it by whatever they do to the rest. */
#ifndef XDP_CHAIN_NEIGHBOUR_H
#define XDP_CHAIN_NEIGHBOUR_H

#include "parse.h"

#define NEIGHBOUR_SOLICITATION 135
#define NEIGHBOUR_ADVERTISEMENT 136

/* What ARP is to IPv4. A hop limit of 255 comes from this link alone (RFC 4861, 7.1). */
static __always_inline bool resolves_neighbour(const struct ip_packet *ip, __u8 type)
{
	return ip->hop_limit == 255 && (type == NEIGHBOUR_SOLICITATION || type == NEIGHBOUR_ADVERTISEMENT);
}

#endif

#include "stack/engine_mend.h"

#include <lwip/priv/tcp_priv.h>
#include <stdbool.h>

/* A segment was cut for a window that has shrunk since: with nothing in flight
 * it would wait for the persist timer. Cut again and send, unless the window
 * is silly (RFC 9293 3.8.6.2.1). */
static void fit_to_window(struct tcp_pcb *pcb)
{
	struct tcp_seg *seg = pcb->unsent;
	u32_t room;

	if (!seg || pcb->unacked || pcb->snd_wnd == 0)
		return;
	room = pcb->lastack + pcb->snd_wnd - lwip_ntohl(seg->tcphdr->seqno);
	if (room >= seg->len || room < pcb->snd_wnd_max / 4 || room > pcb->mss)
		return;
	if (tcp_split_unsent_seg(pcb, (u16_t)room) == ERR_OK)
		tcp_output(pcb);
}

static bool drop_if_acknowledged(struct tcp_pcb *pcb, struct tcp_seg **head)
{
	struct tcp_seg *seg = *head;
	u16_t len;

	if (!seg ||
	    !TCP_SEQ_LEQ(lwip_ntohl(seg->tcphdr->seqno) + TCP_TCPLEN(seg),
			 pcb->lastack))
		return false;
	*head = seg->next;
	pcb->snd_queuelen = (u16_t)(pcb->snd_queuelen - pbuf_clen(seg->p));
	len = seg->len;
	tcp_seg_free(seg);
	pcb->snd_buf += len;
	pcb->sent(pcb->callback_arg, pcb, len);
	return true;
}

/* The persist timer cuts the first segment to the window without regard to
 * how much of it was acknowledged before. A piece that lies wholly behind fits
 * into no window and would wait for ever; or, behind a window of one byte, it
 * goes out and is acknowledged by nothing new until lwIP gives up. */
static void drop_acknowledged(struct tcp_pcb *pcb)
{
	bool sent = drop_if_acknowledged(pcb, &pcb->unacked);

	if (sent && !pcb->unacked) {
		pcb->rtime = -1;
		pcb->nrtx = 0;
	}
	if (drop_if_acknowledged(pcb, &pcb->unsent) || sent)
		tcp_output(pcb);
}

/* A fast retransmission that does not fit into the window stays among what was
 * never sent. When the timer then puts what is in flight in front of it, the
 * queue is out of order, and its first segment waits for ever for an
 * acknowledgement of the one behind. */
static void put_back(struct tcp_pcb *pcb)
{
	struct tcp_seg *seg = pcb->unsent;

	if (!seg || !pcb->unacked ||
	    !TCP_SEQ_LT(lwip_ntohl(seg->tcphdr->seqno),
			lwip_ntohl(pcb->unacked->tcphdr->seqno)))
		return;
	pcb->unsent = seg->next;
	seg->next = pcb->unacked;
	pcb->unacked = seg;
}

void engine_mend(struct tcp_pcb *pcb)
{
	if (pcb->state == TIME_WAIT || pcb->state < ESTABLISHED)
		return;
	drop_acknowledged(pcb);
	put_back(pcb);
	fit_to_window(pcb);
	/* lwIP stops the persist timer only when it sends, and asserts that it
	 * never ticks without unsent data. */
	if (!pcb->unsent || pcb->unacked)
		pcb->persist_backoff = 0;
	/* A tap has no congestion: the container's window is the limit, until
	 * its ring has dropped something. */
	if (!(pcb->flags & (TF_RTO | TF_INFR)))
		pcb->cwnd = TCP_SND_BUF;
}

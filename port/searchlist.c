#include "port/searchlist.h"

#include "stack/domain.h"

#include <errno.h>
#include <string.h>

#define SPACE " \t"

int searchlist_parse(const char *text, struct plan_offer *ret)
{
	uint8_t list[PLAN_SEARCH_MAX], name[DOMAIN_MAX];
	char word[PLAN_NAME_MAX + 2]; /* a dot at the end, NUL */
	size_t used = 0, len, n;

	while ((text += strspn(text, SPACE)), (n = strcspn(text, SPACE "\n"))) {
		if (n >= sizeof(word))
			return -EINVAL;
		memcpy(word, text, n);
		word[n] = '\0';
		len = domain_encode(word, name);
		if (len == 0 || used + len > sizeof(list))
			return -EINVAL;
		memcpy(list + used, name, len);
		used += len;
		text += n;
	}
	memcpy(ret->search, list, used);
	ret->search_len = (uint8_t)used;
	return 0;
}

void searchlist_find(const char *text, struct plan_offer *ret)
{
	static const char word[] = "search";
	const size_t len = sizeof(word) - 1;

	while (*text) {
		if (strncmp(text, word, len) == 0 && text[len] &&
		    strchr(SPACE, text[len]))
			searchlist_parse(text + len, ret);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
}

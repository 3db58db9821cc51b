/*
 * Prints c-layout.json: sizes and offsets as a C compiler on x86-64 sees them.
 * gcc -o c-layout c-layout.c && ./c-layout > c-layout.json
 *
 * ELF structures come from the system's <elf.h>. Those of kdump-compressed and flattened files are declared here after
 * the format's description (makedumpfile IMPLEMENTATION, QEMU docs/specs), with the C types it names.
 */
#include <elf.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/types.h>

struct new_utsname {
	char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};

struct disk_dump_header {
	char signature[8];
	int header_version;
	struct new_utsname utsname;
	struct timeval timestamp;
	unsigned int status;
	int block_size;
	int sub_hdr_size;
	unsigned int bitmap_blocks, max_mapnr, total_ram_blocks, device_blocks, written_blocks, current_cpu;
	int nr_cpus;
};

struct kdump_sub_header {
	unsigned long phys_base;
	int dump_level, split;
	unsigned long start_pfn, end_pfn;
	off_t offset_vmcoreinfo;
	unsigned long size_vmcoreinfo;
	off_t offset_note;
	unsigned long size_note;
	off_t offset_eraseinfo;
	unsigned long size_eraseinfo;
	unsigned long long start_pfn_64, end_pfn_64, max_mapnr_64;
};

struct page_desc {
	off_t offset;
	unsigned int size, flags;
	unsigned long long page_flags;
};

struct makedumpfile_header {
	char signature[16];
	long long type, version;
};

struct makedumpfile_data_header {
	long long offset, buf_size;
};

static const char *sep;
#define BEGIN(type, name) \
	printf("%s  \"%s\": {\n    \"size\": %zu,\n    \"offsets\": {", sep ? ",\n" : "{\n", name, sizeof(type)); \
	sep = ""
#define FIELD(type, field) printf("%s\n      \"%s\": %zu", sep, #field, offsetof(type, field)); sep = ","
#define END() printf("\n    }\n  }")

int main(void)
{
#define T struct new_utsname
	BEGIN(T, "new_utsname");
	FIELD(T, sysname); FIELD(T, nodename); FIELD(T, release); FIELD(T, version); FIELD(T, machine); FIELD(T, domainname);
	END();
#undef T
#define T struct timeval
	BEGIN(T, "timeval");
	FIELD(T, tv_sec); FIELD(T, tv_usec);
	END();
#undef T
#define T struct disk_dump_header
	BEGIN(T, "disk_dump_header");
	FIELD(T, signature); FIELD(T, header_version); FIELD(T, utsname); FIELD(T, timestamp); FIELD(T, status);
	FIELD(T, block_size); FIELD(T, sub_hdr_size); FIELD(T, bitmap_blocks); FIELD(T, max_mapnr);
	FIELD(T, total_ram_blocks); FIELD(T, device_blocks); FIELD(T, written_blocks); FIELD(T, current_cpu);
	FIELD(T, nr_cpus);
	END();
#undef T
#define T struct kdump_sub_header
	BEGIN(T, "kdump_sub_header");
	FIELD(T, phys_base); FIELD(T, dump_level); FIELD(T, split); FIELD(T, start_pfn); FIELD(T, end_pfn);
	FIELD(T, offset_vmcoreinfo); FIELD(T, size_vmcoreinfo); FIELD(T, offset_note); FIELD(T, size_note);
	FIELD(T, offset_eraseinfo); FIELD(T, size_eraseinfo); FIELD(T, start_pfn_64); FIELD(T, end_pfn_64);
	FIELD(T, max_mapnr_64);
	END();
#undef T
#define T struct page_desc
	BEGIN(T, "page_desc");
	FIELD(T, offset); FIELD(T, size); FIELD(T, flags); FIELD(T, page_flags);
	END();
#undef T
#define T struct makedumpfile_header
	BEGIN(T, "makedumpfile_header");
	FIELD(T, signature); FIELD(T, type); FIELD(T, version);
	END();
#undef T
#define T struct makedumpfile_data_header
	BEGIN(T, "makedumpfile_data_header");
	FIELD(T, offset); FIELD(T, buf_size);
	END();
#undef T
#define T Elf64_Ehdr
	BEGIN(T, "Elf64_Ehdr");
	FIELD(T, e_ident); FIELD(T, e_type); FIELD(T, e_machine); FIELD(T, e_version); FIELD(T, e_entry); FIELD(T, e_phoff);
	FIELD(T, e_shoff); FIELD(T, e_flags); FIELD(T, e_ehsize); FIELD(T, e_phentsize); FIELD(T, e_phnum);
	FIELD(T, e_shentsize); FIELD(T, e_shnum); FIELD(T, e_shstrndx);
	END();
#undef T
#define T Elf64_Phdr
	BEGIN(T, "Elf64_Phdr");
	FIELD(T, p_type); FIELD(T, p_flags); FIELD(T, p_offset); FIELD(T, p_vaddr); FIELD(T, p_paddr); FIELD(T, p_filesz);
	FIELD(T, p_memsz); FIELD(T, p_align);
	END();
#undef T
#define T Elf64_Shdr
	BEGIN(T, "Elf64_Shdr");
	FIELD(T, sh_name); FIELD(T, sh_type); FIELD(T, sh_flags); FIELD(T, sh_addr); FIELD(T, sh_offset); FIELD(T, sh_size);
	FIELD(T, sh_link); FIELD(T, sh_info); FIELD(T, sh_addralign); FIELD(T, sh_entsize);
	END();
#undef T
#define T Elf64_Nhdr
	BEGIN(T, "Elf64_Nhdr");
	FIELD(T, n_namesz); FIELD(T, n_descsz); FIELD(T, n_type);
	END();
#undef T
	printf("\n}\n");
	return 0;
}

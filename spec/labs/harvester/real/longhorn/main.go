// The data source server of Longhorn's backing-image-manager: what runs in the pod that downloads an image.
//
// Under a main of ours, which keeps the file in a folder that is told, and asks by way of a proxy even where
// the server is on loopback: net/http would not.
package main

import (
	"context"
	"flag"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"

	"github.com/longhorn/backing-image-manager/pkg/datasource"
	"github.com/longhorn/backing-image-manager/pkg/sync"
	"github.com/longhorn/backing-image-manager/pkg/types"
	"github.com/sirupsen/logrus"
)

func main() {
	listen := flag.String("listen", "", "address of the data source server")
	syncListen := flag.String("sync-listen", "", "address of the server that downloads")
	name := flag.String("name", "", "of the backing image")
	uuid := flag.String("uuid", "", "of the backing image")
	checksum := flag.String("checksum", "", "SHA-512 that is expected")
	from := flag.String("url", "", "what to download")
	folder := flag.String("folder", "", "Longhorn's disk")
	proxy := flag.String("proxy", "", "URL of a proxy")
	flag.Parse()
	logrus.SetLevel(logrus.DebugLevel)
	way, err := url.Parse(*proxy)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1) // who started it is gone
	}()
	transport := http.DefaultTransport.(*http.Transport)
	transport.Proxy = func(request *http.Request) (*url.URL, error) {
		if request.URL.Host == *listen || request.URL.Host == *syncListen {
			return nil, nil
		}
		return way, nil
	}
	parameters := map[string]string{types.DataSourceTypeDownloadParameterURL: *from}
	log.Fatal(datasource.NewServer(context.Background(), *listen, *syncListen, *checksum,
		string(types.DataSourceTypeDownload), *name, *uuid, *folder, parameters, nil, &sync.HTTPHandler{}))
}
